"""Score a finished run on a split, or write its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.errors import UserError, door
from rafm_bench.metrics import Metrics, notes_on
from rafm_bench.model_file import load_model
from rafm_bench.run import MODEL
from rafm_bench.scoring import Scorer, measure_split, score_chunks
from rafm_bench.staging import staged_file
from rafm_datasets import open_prepared
from rafm_kernels import load_backend, probability

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter
    from rafm_bench.run import Run
    from rafm_datasets import PreparedData


class Evaluation(NamedTuple):
    """Quality of a run on a split."""

    split: str
    n_rows: int
    metrics: Metrics
    notes: list[str]


def evaluate(run: Run, folder: Path | None, split: str, report: Reporter) -> Evaluation:
    """Measure a run on a split of prepared data (of the run's own data when None)."""
    scorer, data = _open(run, folder)
    metrics = measure_split(scorer, data, split, report, f"scoring {split}")
    return Evaluation(split, data.rows(split), metrics, notes_on(metrics, split))


def predict(run: Run, folder: Path, split: str, out: Path, report: Reporter) -> int:
    """Write label and score of each row of a split to a Parquet file, in file order.

    Parameters
    ----------
    run, folder, split : as in `evaluate`
    out : Parquet file; columns label (float32) and score (float64), which is the
        probability of label 1 for log loss and the rating for square loss

    Returns
    -------
    int                               rows written
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    scorer, data = _open(run, folder)
    schema = pa.schema([("label", pa.float32()), ("score", pa.float64())])
    done = 0
    chunks = score_chunks(scorer, data, split)
    with staged_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        for scores, labels in chunks:
            if scorer.model.loss == "log":
                scores = probability(scores)
            writer.write_batch(pa.record_batch([labels, scores], schema=schema))
            done += len(labels)
            report(f"scoring {split}", done, data.rows(split), "rows")
    return done


def _recorded(run: Run) -> Path:
    folder = Path(run.result.data)
    if not folder.exists():
        raise UserError(
            f"{run.folder}: its data is no longer at {folder}; name it by --data"
        )
    return folder


def _open(run: Run, folder: Path | None) -> tuple[Scorer, PreparedData]:
    """Load a run's model and the data, and see that its ids are the model's."""
    saved = load_model(run.folder / MODEL)
    data = open_prepared(folder or _recorded(run))
    n_features = saved.model.layout.n_features
    if (data.fingerprint, data.n_features) != (saved.data_fingerprint, n_features):
        raise UserError(
            f"{data.folder}: not the data of {run.folder}: its fingerprint is "
            f"{data.fingerprint[:12]} with {data.n_features:,} features, the model's "
            f"{saved.data_fingerprint[:12]} with {n_features:,}; pass the folder it "
            f"was trained on ({run.result.data})"
        )
    with door():
        backend = load_backend(run.config.backend)
    threads = run.config.threads
    return Scorer(backend, saved.model, saved.parameters, threads), data
