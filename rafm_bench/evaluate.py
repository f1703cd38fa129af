"""Score a finished run on a split, or write its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.errors import UserError, door
from rafm_bench.execution import STANDARD, Execution
from rafm_bench.metrics import Metrics, notes_on
from rafm_bench.model_file import load_model
from rafm_bench.run import MODEL
from rafm_bench.scoring import (
    Scorer,
    measure_levels,
    measure_split,
    score_chunks,
    score_encoded,
)
from rafm_bench.shards.pieces import scoring_at
from rafm_bench.staging import staged_file
from rafm_datasets import locate, open_encoded, open_prepared
from rafm_kernels import FIELD_MODELS, load_backend, probability

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rafm_bench.model_file import SavedModel
    from rafm_bench.progress import Reporter
    from rafm_bench.run import Run
    from rafm_bench.scoring import Scored
    from rafm_datasets import PreparedData


class Evaluation(NamedTuple):
    """Quality of a run on a split, and of every B_1k where it was asked for."""

    split: str
    n_rows: int
    metrics: Metrics
    notes: list[str]
    levels: list[Metrics] | None = None


def evaluate(
    run: Run,
    folder: Path | None,
    split: str,
    report: Reporter,
    where: Execution = STANDARD,
    *,
    with_levels: bool = False,
) -> Evaluation:
    """Measure a run on a split of prepared data (of the run's own data when None).

    `where` says which workers do it; what they find is the same. `with_levels` asks for
    the metrics of every B_1k, the last of which is the model.
    """
    scorer, data = _open(run, folder, with_levels=with_levels)
    measure = measure_levels if with_levels else _measure_whole
    with scoring_at(where, run.config, report) as elsewhere:
        placed = scorer._replace(elsewhere=elsewhere)
        levels = measure(placed, data, split, report, f"scoring {split}")
    return Evaluation(
        split,
        data.rows(split),
        levels[-1],
        notes_on(levels[-1], split),
        levels if with_levels else None,
    )


def predict(
    run: Run,
    folder: Path | None,
    split: str,
    out: Path,
    report: Reporter,
    where: Execution = STANDARD,
    *,
    with_levels: bool = False,
) -> int:
    """Write label and score of each row of a split to a Parquet file, in file order.

    Parameters
    ----------
    run, folder, split, where : as in `evaluate`
    out : Parquet file; columns label (float32) and score (float64), which is the
        probability of label 1 for log loss and the rating for square loss
    with_levels : adds the columns level_1 ... level_m (float64), the prediction of
        every B_1k in the unit of score, which level_m is

    Returns
    -------
    int                               rows written
    """
    scorer, data = _open(run, folder, with_levels=with_levels)
    with scoring_at(where, run.config, report) as elsewhere:
        chunks = score_chunks(scorer._replace(elsewhere=elsewhere), data, split)
        told = _told(chunks, report, f"scoring {split}", data.rows(split))
        return _write_scores(told, scorer, out, labeled=True)


def predict_encoded(
    run: Run, file: Path, out: Path, report: Reporter, *, with_levels: bool = False
) -> int:
    """Write the score of each row of a file of `rafm-bench encode`, as `predict` does.

    The column label is there when the rows have labels.
    """
    encoded = open_encoded(file)
    if out.exists() and out.samefile(file):
        raise UserError(f"{out} holds the rows to score; choose another --out")
    saved = load_model(run.folder / MODEL)
    if encoded.data_fingerprint != saved.data_fingerprint:
        raise UserError(
            f"{file}: has the ids of other data (fingerprint "
            f"{encoded.data_fingerprint[:12]}) than {run.folder} was trained on "
            f"({saved.data_fingerprint[:12]}); encode the rows with --like "
            f"{run.result.data}"
        )
    scorer = _scorer(run, saved, with_levels=with_levels)
    field_of = None
    if saved.model.name in FIELD_MODELS and encoded.layout == "lists":
        field_of = open_prepared(_recorded(run)).field_of_feature()
    chunks = score_encoded(scorer, encoded, field_of)
    told = _told(chunks, report, f"scoring {file.name}", encoded.rows)
    return _write_scores(told, scorer, out, labeled=encoded.labeled)


def _measure_whole(*arguments: Any) -> list[Metrics]:
    return [measure_split(*arguments)]


def _told(
    chunks: Iterator[Scored], report: Reporter, stage: str, n_rows: int
) -> Iterator[Scored]:
    """Pass scored chunks on, telling how far they are."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk.labels)
        report(stage, done, n_rows, "rows")


def _write_scores(
    chunks: Iterator[Scored], scorer: Scorer, out: Path, *, labeled: bool
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["label"] * labeled + ["score"]
    if scorer.with_levels:
        n_levels = scorer.model.layout.n_levels
        names += [f"level_{k}" for k in range(1, n_levels + 1)]
    types = {"label": pa.float32()}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in names])
    unit = probability if scorer.model.loss == "log" else np.asarray
    done = 0
    with staged_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        for scores, labels, levels in chunks:
            columns = [labels] * labeled + [unit(scores)]
            if levels is not None:
                columns += [unit(level) for level in levels.T]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            done += len(scores)
    return done


def _recorded(run: Run) -> Path:
    folder = locate(run.result.data)
    if not folder.exists():
        raise UserError(
            f"{run.folder}: its data is no longer at {folder}; name it by --data"
        )
    return folder


def _open(
    run: Run, folder: Path | None, *, with_levels: bool
) -> tuple[Scorer, PreparedData]:
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
    return _scorer(run, saved, with_levels=with_levels), data


def _scorer(run: Run, saved: SavedModel, *, with_levels: bool) -> Scorer:
    if with_levels and not saved.model.layout.n_levels:
        raise UserError(
            f"{run.folder}: model {saved.model.name} has no levels; leave --levels out"
        )
    with door():
        backend = load_backend(run.config.backend)
    threads = run.config.threads
    scorer = Scorer(backend, saved.model, saved.parameters, threads)
    return scorer._replace(with_levels=with_levels)
