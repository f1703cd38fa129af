"""A run made of a model that came from a file, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.config import TrainConfig
from rafm_bench.cost import predict_cost
from rafm_bench.errors import door
from rafm_bench.exchange import import_model
from rafm_bench.memory import forget_peak_memory, peak_memory_bytes
from rafm_bench.metrics import notes_on
from rafm_bench.model_file import SavedModel, save_model
from rafm_bench.run import MODEL, Run, RunResult, read_run, write_run
from rafm_bench.scoring import Scorer, measure_split
from rafm_bench.staging import refuse_existing, staged_folder
from rafm_bench.versions import versions
from rafm_kernels import count_nonzero, load_backend

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.metrics import Metrics
    from rafm_bench.progress import Reporter
    from rafm_datasets import PreparedData


def import_run(
    file: Path, form: str | None, data: PreparedData, out: Path, report: Reporter
) -> Run:
    """Make a run of a model in a file, and measure it on validation and test rows.

    Parameters
    ----------
    file, form : as in `import_model`
    data : prepared data of the model's features
    out : folder to write; must not exist
    report : told of the progress

    Returns
    -------
    Run                               to evaluate and predict with; it has no epochs

    Raises
    ------
    UserError                         when the file holds no model of these features
    """
    refuse_existing(out)
    forget_peak_memory()
    saved = import_model(file, data, form)
    layout = saved.model.layout
    config = TrainConfig(
        model=saved.model.name,
        ranks=layout.rank_dims,
        loss=saved.model.loss,
        projection=saved.model.projection,
        dtype="float64" if saved.parameters.linear.dtype == "float64" else "float32",
    )
    measured = _measure(saved, config.backend, data, report)
    with staged_folder(out) as folder:
        save_model(folder / MODEL, saved)
        write_run(folder, config, _result(saved, config, data, measured))
    return read_run(out)


def _measure(
    saved: SavedModel, backend: str, data: PreparedData, report: Reporter
) -> dict[str, Metrics]:
    with door():
        scorer = Scorer(load_backend(backend), saved.model, saved.parameters, 1)
    return {
        split: measure_split(scorer, data, split, report, f"scoring {split}")
        for split in ("valid", "test")
        if split in data.splits
    }


def _result(
    saved: SavedModel,
    config: TrainConfig,
    data: PreparedData,
    measured: dict[str, Metrics],
) -> RunResult:
    layout = saved.model.layout
    notes = (
        note for split, found in measured.items() for note in notes_on(found, split)
    )
    return RunResult(
        model=config.model,
        ranks=config.ranks,
        loss=saved.model.loss,
        backend=config.backend,
        threads=config.threads,
        seed=config.seed,
        data=str(data.folder.resolve()),
        data_fingerprint=data.fingerprint,
        n_features=layout.n_features,
        features_at_rank=layout.features_at_rank,
        n_parameters=layout.n_parameters,
        n_nonzero=count_nonzero(saved.parameters),
        n_rows_per_epoch=data.rows("train"),
        predicted_cost=predict_cost(layout, data.train_counts(), data.rows("train")),
        epochs=(),
        best_epoch=0,
        valid=measured.get("valid", {}),
        test=measured.get("test"),
        notes=("the model was imported, not trained here", *notes),
        compile_seconds=0.0,
        peak_memory_bytes=peak_memory_bytes(),
        versions=versions(),
    )
