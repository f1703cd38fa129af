"""The area under the ROC curve of rows that come in pieces, in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

EXACT_ROWS = 2**22
"""Rows up to which the AUC is exact: 8 bytes each, 32 MiB in all."""
LIMIT, BINS_OF_ONE = 32, 2**15
"""Above that: bins of 1 / 32,768 of a margin between -32 and 32, again 32 MiB."""
N_BINS = 2 * LIMIT * BINS_OF_ONE
SLICE = 65_536


class Auc(NamedTuple):
    """An AUC, and how far off it may be at most.

    `value` is None where one class only was seen, `error` where rows were not counted
    in bins: then there is none.
    """

    value: float | None
    error: float | None


class Ranking:
    """Scores of positive and negative rows, as numbers or, of many rows, as counts.

    What it holds depends on the rows alone, not on their order or their pieces.
    Memory: 8 bytes a row up to `EXACT_ROWS`, then 32 MiB; 64 MiB on the way over.
    """

    def __init__(self) -> None:
        """Begin without rows."""
        self._kept: Scores | None = np.empty(EXACT_ROWS)
        self._n_positive = self._n_negative = 0
        self._counts: NDArray[np.int64] | None = None

    def add(self, scores: Scores, positive: NDArray[np.bool_]) -> None:
        """Take rows: their finite scores, and whether each is a positive."""
        self._take(scores[positive], scores[~positive])

    def merge(self, other: Ranking) -> None:
        """Take the rows of another ranking."""
        if other._counts is None:
            self._take(*other._classes())
            return
        self._spill()
        assert self._counts is not None
        self._counts += other._counts

    def auc(self) -> Auc:
        """Compute the share of (positive, negative) pairs in right order.

        Equal scores count one half; so do those of one bin, which hold the error: a
        bin's pairs may all be right or all be wrong.

        References
        ----------
        Mann and Whitney 1947.
        """
        if self._counts is None:
            positives, negatives = self._classes()
            pairs = positives.size * negatives.size
            twice_right = _twice_right(positives, negatives)
            return Auc(twice_right / (2 * pairs) if pairs else None, None)
        pairs = math.prod(int(row.sum()) for row in self._counts)
        if not pairs:
            return Auc(None, 0.0)
        unsure, twice_right = _pairs_of(self._counts)
        return Auc(twice_right / (2 * pairs), unsure / (2 * pairs))

    def __getstate__(self) -> tuple[Scores, Scores, NDArray[np.int64] | None]:
        """Return what it holds, without the room for more."""
        return *self._classes(), self._counts

    def __setstate__(
        self, state: tuple[Scores, Scores, NDArray[np.int64] | None]
    ) -> None:
        """Take back what `__getstate__` gave."""
        self.__init__()  # type: ignore[misc]
        positives, negatives, counts = state
        if counts is not None:
            self._kept, self._counts = None, counts
        self._take(positives, negatives)

    def _take(self, positives: Scores, negatives: Scores) -> None:
        n_new = positives.size + negatives.size
        if self._n_positive + self._n_negative + n_new > EXACT_ROWS:
            self._spill()
        if self._kept is None:
            self._count(positives, negatives)
            return
        start, stop = self._n_positive, EXACT_ROWS - self._n_negative
        self._kept[start : start + positives.size] = positives
        self._kept[stop - negatives.size : stop] = negatives
        self._n_positive += positives.size
        self._n_negative += negatives.size

    def _classes(self) -> tuple[Scores, Scores]:
        """Return the scores of positives, at the left, and negatives, at the right."""
        if self._kept is None:
            return np.empty(0), np.empty(0)
        end = EXACT_ROWS - self._n_negative
        return self._kept[: self._n_positive], self._kept[end:]

    def _spill(self) -> None:
        """Turn scores into counts."""
        if self._counts is None:
            self._counts = np.zeros((2, N_BINS), np.int64)
            self._count(*self._classes())
            self._kept = None

    def _count(self, *classes: Scores) -> None:
        assert self._counts is not None
        for counts, scores in zip(self._counts, classes, strict=True):
            for start in range(0, scores.size, SLICE):
                np.add.at(counts, bins(scores[start : start + SLICE]), 1)


def bins(scores: Scores) -> NDArray[np.int64]:
    """Return the bin of each finite score: never lower for a higher score.

    A product with a power of two, a floor and a clip are exact, or overflow to an end.
    """
    with np.errstate(over="ignore"):
        places = np.floor(scores * BINS_OF_ONE) + N_BINS // 2
    placed: NDArray[np.int64] = np.clip(places, 0, N_BINS - 1).astype(np.int64)
    return placed


def _twice_right(positives: Scores, negatives: Scores) -> int:
    """Count pairs in right order twice and equal ones once; sorts both in place."""
    positives.sort()
    negatives.sort()
    return sum(
        int(np.searchsorted(negatives, part, side).sum())
        for side in ("left", "right")
        for part in np.split(positives, range(SLICE, positives.size, SLICE))
    )


def _pairs_of(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Count the pairs within bins, and twice those in right order and these once."""
    unsure = right = below = 0
    for start in range(0, N_BINS, SLICE):
        positives, negatives = counts[:, start : start + SLICE]
        lower = below + np.cumsum(negatives) - negatives
        unsure += _exact_dot(positives, negatives)
        right += _exact_dot(positives, lower)
        below += int(negatives.sum())
    return unsure, 2 * right + unsure


def _exact_dot(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Sum products of counts that each add up to less than 2**40, in two halves."""
    high, low = right >> 20, right & (2**20 - 1)
    return (int(left @ high) << 20) + int(left @ low)
