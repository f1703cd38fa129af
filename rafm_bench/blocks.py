"""Epochs and metrics by random blocks of rows, as in the RaFM authors' program.

An epoch is N blocks of a batch's size, drawn with replacement, each a step; a metric is
the mean over N such blocks of its value in each. Neighbours are those of a split whose
rows were mixed once, by the seed. A split is held in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.engine import Advance, diverged
from rafm_bench.scoring import CHUNK_ROWS, chunks_of
from rafm_kernels import Batch, probability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rafm_bench.job import Job
    from rafm_bench.metrics import Metrics
    from rafm_bench.scoring import Scorer
    from rafm_datasets import PreparedData
    from rafm_kernels import Model, TrainState

    Floats = NDArray[np.float64]
    Starts = NDArray[np.int64]

LEAST, MOST = 1e-4, 0.9999
"""Where probabilities are clipped before their log loss."""
_SPLITS = {"train": 0, "valid": 1, "test": 2}


def block_starts(n_rows: int, size: int, n_blocks: int, key: tuple[int, ...]) -> Starts:
    """Draw the first rows of blocks; a block longer than the split is all of it."""
    return np.random.default_rng(key).integers(0, max(1, n_rows - size + 1), n_blocks)


def random_blocks(
    job: Job, state: TrainState, epoch: int, start: int
) -> Iterator[Advance]:
    """Train on the blocks of an epoch; `at` is the blocks done; see `Engine`."""
    config = job.config
    rows = _whole_split(job.model, job.data, "train", config.seed)
    size = min(config.batch_size, rows.n_rows)
    key = (config.seed, epoch, _SPLITS["train"])
    starts = block_starts(rows.n_rows, size, config.blocks, key)
    step = max(1, CHUNK_ROWS // size)
    for at in range(start, config.blocks, step):
        batch = take_blocks(rows, starts[at : at + step], size)
        before = int(state.step[0])
        done = job.backend.train(
            job.model, state, job.optimizer, batch, size, config.threads
        )
        if done.bad_step >= 0:
            raise diverged(job, epoch, before + done.bad_step + 1)
        end = min(at + step, config.blocks)
        yield Advance(end, batch.n_rows, done.loss_sum, done.level_loss_sums)


def measure_blocks(job: Job, scorer: Scorer, split: str) -> Metrics:
    """Return means over random blocks of a split of each block's metrics.

    Probabilities are clipped to [1e-4, 0.9999] before their log loss, ratings to the
    range of the split's labels; `rmse` is the mean of each block's. Blocks of one class
    have no AUC and do not count in its mean.
    """
    backend, model, parameters, n_threads, *_ = scorer
    config = job.config
    rows = _whole_split(model, job.data, split, config.seed)
    scores = backend.scores(model, parameters, rows, n_threads)
    size = min(config.batch_size, rows.n_rows)
    key = (config.seed, 0, _SPLITS[split])
    starts = block_starts(rows.n_rows, size, config.blocks, key)
    measure = _of_clicks if model.loss == "log" else _of_ratings
    labels = rows.labels.astype(np.float64)
    if model.loss == "square":
        scores = np.clip(scores, labels.min(), labels.max())
    return measure(scores, labels, starts, size)


def take_blocks(rows: Batch, starts: Starts, size: int) -> Batch:
    """Return the rows of blocks of `size` rows, block after block."""
    places = (starts[:, None] + np.arange(size)).ravel()
    lengths = np.diff(rows.indptr)[places]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    shifts = np.repeat(rows.indptr[places] - indptr[:-1], lengths)
    entries = shifts + np.arange(indptr[-1])
    return Batch(
        indptr=indptr,
        ids=rows.ids[entries],
        values=None if rows.values is None else rows.values[entries],
        fields=None if rows.fields is None else rows.fields[entries],
        labels=rows.labels[places],
    )


def block_auc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve of a block; None where it has one class."""
    n = np.count_nonzero(positive)
    if not 0 < n < positive.size:
        return None
    order = np.sort(scores)
    own = scores[positive]
    below = np.searchsorted(order, own, "left") + np.searchsorted(order, own, "right")
    ranks = 0.5 * (float(below.sum()) + n)
    return float((ranks - 0.5 * n * (n + 1)) / (n * (positive.size - n)))


def _of_clicks(scores: Floats, labels: Floats, starts: Starts, size: int) -> Metrics:
    clipped = np.clip(probability(scores), LEAST, MOST)
    losses = -np.log(np.where(labels > 0, clipped, 1 - clipped))
    found = [
        block_auc(scores[at : at + size], labels[at : at + size] > 0) for at in starts
    ]
    known = [auc for auc in found if auc is not None]
    return {
        "log_loss": float(np.mean(_means(losses, starts, size))),
        "auc": float(np.mean(known)) if known else None,
    }


def _of_ratings(scores: Floats, labels: Floats, starts: Starts, size: int) -> Metrics:
    squares = _means((scores - labels) ** 2, starts, size)
    return {
        "rmse": float(np.mean(np.sqrt(squares))),
        "square_loss": float(np.mean(squares)),
    }


def _means(values: Floats, starts: Starts, size: int) -> Floats:
    return np.array([np.mean(values[at : at + size]) for at in starts])


def _whole_split(model: Model, data: PreparedData, split: str, seed: int) -> Batch:
    """Read a split at once, its rows mixed as in the first epoch of this seed."""
    chunks = chunks_of(model, data, split, data.rows(split), seed=seed, epoch=0)
    return next(chunks)
