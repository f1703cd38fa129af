"""Rows of a split in, their scores out: shared by validation, test and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.errors import UserError
from rafm_bench.meter import Meter
from rafm_datasets import Reading, stream, stream_encoded
from rafm_kernels import FIELD_MODELS, Batch, merge_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from rafm_bench.metrics import Metrics
    from rafm_bench.progress import Reporter
    from rafm_datasets import EncodedFile, PreparedData, Rows
    from rafm_kernels import Backend, Model, Parameters, RankLayout

    ScoreChunks = Callable[["Scorer", PreparedData, str], Iterator["Scored"]]

CHUNK_ROWS = 65_536


class Scorer(NamedTuple):
    """A model that can score: what a backend's `scores` needs besides rows.

    `elsewhere` is what scores a split in place of this process, in the same chunks.
    `with_levels` asks for the scores of every B_1k too, in a second pass over a chunk.
    """

    backend: Backend
    model: Model
    parameters: Parameters
    n_threads: int
    reading: Reading = Reading()
    elsewhere: ScoreChunks | None = None
    with_levels: bool = False


class Scored(NamedTuple):
    """Scores and labels of rows, in the order of the split's files.

    `levels` is float64[n_rows, n_levels], the score of each row by every B_1k, where
    the scorer was asked for it; the last of a row is its score.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.float32]
    levels: NDArray[np.float64] | None = None


def chunks_of(
    model: Model, data: PreparedData, split: str, chunk_rows: int, **order: Any
) -> Iterator[Batch]:
    """Read a split as `stream` does, as batches that hold what the model reads."""
    with_fields = model.name in FIELD_MODELS
    for rows in stream(data, split, chunk_rows, with_fields=with_fields, **order):
        yield as_batch(rows, model.layout, data)


def as_batch(rows: Rows, layout: RankLayout, data: PreparedData) -> Batch:
    """Take rows of prepared data as a batch, their ids as the layout's.

    Where a field holds several values a row may have an id twice: as written, or as
    several rare values. These become one entry with the sum of their values.
    """
    return _batch(rows, layout, lists=data.manifest.layout == "lists")


def _batch(rows: Rows, layout: RankLayout, *, lists: bool) -> Batch:
    ids = layout.remap(rows.ids).astype(np.int32, copy=False)
    batch = Batch(rows.indptr, ids, rows.values, rows.fields, rows.labels)
    return merge_duplicates(batch) if lists else batch


def check_rows(data: PreparedData, split: str) -> None:
    """Raise UserError where the data has no rows of a split."""
    if split not in data.splits:
        raise UserError(
            f"{data.folder}: split {split!r} holds no rows; choose one of "
            f"{', '.join(data.splits)}"
        )


def score_batch(scorer: Scorer, batch: Batch) -> Scored:
    """Score rows in this process."""
    backend, model, parameters, n_threads, *_ = scorer
    scores = backend.scores(model, parameters, batch, n_threads)
    levels = None
    if scorer.with_levels:
        levels = backend.level_scores(model, parameters, batch, n_threads).T
        levels[:, -1] = scores  # which skip levels: equal but for rounding
    return Scored(scores, batch.labels, levels)


def score_chunks(scorer: Scorer, data: PreparedData, split: str) -> Iterator[Scored]:
    """Score a split chunk by chunk; UserError where the data has no such rows."""
    check_rows(data, split)
    if scorer.elsewhere is not None:
        yield from scorer.elsewhere(scorer, data, split)
        return
    reading = scorer.reading
    for batch in chunks_of(scorer.model, data, split, CHUNK_ROWS, reading=reading):
        yield score_batch(scorer, batch)


def score_encoded(
    scorer: Scorer, encoded: EncodedFile, field_of: NDArray[np.int32] | None
) -> Iterator[Scored]:
    """Score encoded rows chunk by chunk; labels are NaN where the file has none.

    `field_of` is the field of each id of the data, for models that read it from lists.
    """
    model = scorer.model
    lists = encoded.layout == "lists"
    in_order = np.arange(len(encoded.fields), dtype=np.int32)
    for rows in stream_encoded(encoded, CHUNK_ROWS):
        if field_of is not None:
            rows = rows._replace(fields=field_of[rows.ids])
        elif model.name in FIELD_MODELS:
            rows = rows._replace(fields=np.tile(in_order, len(rows.labels)))
        yield score_batch(scorer, _batch(rows, model.layout, lists=lists))


def measure_split(
    scorer: Scorer, data: PreparedData, split: str, report: Reporter, stage: str
) -> Metrics:
    """Score a split chunk by chunk and measure the model's quality on it."""
    meter = Meter(scorer.model.loss)
    for chunk in score_chunks(scorer, data, split):
        meter.add(chunk.scores, chunk.labels)
        report(stage, meter.n_rows, data.rows(split), "rows")
    return meter.metrics(split)


def measure_levels(
    scorer: Scorer, data: PreparedData, split: str, report: Reporter, stage: str
) -> list[Metrics]:
    """Measure every B_1k, as `measure_split` does the model, which is the last."""
    model = scorer.model
    meters = [Meter(model.loss) for _ in range(model.layout.n_levels)]
    for chunk in score_chunks(scorer._replace(with_levels=True), data, split):
        assert chunk.levels is not None
        for meter, scores in zip(meters, chunk.levels.T, strict=True):
            meter.add(np.ascontiguousarray(scores), chunk.labels)
        report(stage, meters[0].n_rows, data.rows(split), "rows")
    return [meter.metrics(split) for meter in meters]
