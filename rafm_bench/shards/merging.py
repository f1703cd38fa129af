"""What a shard's round changed, and the merging of several: features by their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.shards.blocks import Blocks, gather, scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_kernels import Optimizer

    Rows = tuple[NDArray[Any], ...]

SUMS_OF_SQUARES = ("adagrad", "adagrad-row")
GAIN_POWER = 1.5
"""Of the effective number of shards; chosen by `benchmarks/shard_quality.py`."""


class Update(NamedTuple):
    """New values of the features that were seen, and how often they were.

    Attributes
    ----------
    ids : int32[n]                     features of the layout that were seen, increasing
    counts : int64[n]                  rows that have each
    rows : for each of `Blocks.rows` the new rows of those `ids` that it has
    singles : for each of `Blocks.singles` its new value, float[1]
    step : steps made since training began
    n_rows : rows trained on
    """

    ids: NDArray[np.int32]
    counts: NDArray[np.int64]
    rows: Rows
    singles: Rows
    step: int
    n_rows: int

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        arrays: Rows = (self.ids, self.counts, *self.rows, *self.singles)
        return sum(array.nbytes for array in arrays)


class _Share(NamedTuple):
    """Of one shard: places of its ids among all ids, and its share of their rows."""

    places: NDArray[np.int64]
    weights: NDArray[np.float64]


def take(
    blocks: Blocks, ids: NDArray[np.int32], counts: NDArray[np.int64], n_rows: int
) -> Update:
    """Copy what a state has for some features, ids increasing."""
    singles = tuple(single.copy() for single in blocks.singles)
    rows = tuple(gather(blocks, ids))
    return Update(ids, counts, rows, singles, int(blocks.step[0]), n_rows)


def put(blocks: Blocks, update: Update) -> None:
    """Set a state to what an update has."""
    scatter(blocks, update.ids, update.rows)
    for single, value in zip(blocks.singles, update.singles, strict=True):
        single[...] = value
    blocks.step[0] = update.step


def merge(updates: Sequence[Update], blocks: Blocks, optimizer: Optimizer) -> Update:
    """Merge the updates of a round into one.

    Parameters
    ----------
    updates : one at least; their order decides the rounding
    blocks : of the state that the round began with
    optimizer : whose state it is

    Returns
    -------
    Update                             each value the mean of the shards that saw its
                                       feature, weighted by their rows with it (bias:
                                       by all rows), in float64. What AdaGrad's sums
                                       gained is divided by the effective number of
                                       shards that saw it, (sum c)^2 / sum c^2, to the
                                       power GAIN_POWER
    """
    if len(updates) == 1:
        return updates[0]
    ids, counts, shares = _shares(updates)
    columns = zip(*(update.rows for update in updates), strict=True)
    rows = [_mean(parts, shares) for parts in columns]
    n_rows = sum(update.n_rows for update in updates)
    parts_of_rows = np.array([update.n_rows / n_rows for update in updates])
    alone = zip(*(update.singles for update in updates), strict=True)
    singles = [parts_of_rows @ np.array(one, np.float64) for one in alone]
    if optimizer.name in SUMS_OF_SQUARES:
        _lessen(rows, singles, blocks, ids, _divisors(shares, parts_of_rows))
    dtypes = [block.dtype for block in blocks.rows]
    merged = [values.astype(t) for values, t in zip(rows, dtypes, strict=True)]
    if optimizer.l1:
        _keep_zeros(merged, updates, shares, optimizer.l1)
    return Update(
        ids,
        counts,
        tuple(merged),
        tuple(single.astype(dtypes[0]) for single in singles),
        max(update.step for update in updates),
        n_rows,
    )


def _shares(
    updates: Sequence[Update],
) -> tuple[NDArray[np.int32], NDArray[np.int64], list[_Share]]:
    """All ids that were seen, the rows that have each, and each shard's share."""
    largest = max(int(update.ids[-1]) for update in updates if update.ids.size)
    counts = np.zeros(largest + 1, np.int64)
    for update in updates:
        counts[update.ids] += update.counts
    ids = np.flatnonzero(counts).astype(np.int32)
    counts = counts[ids]
    places = [np.searchsorted(ids, update.ids) for update in updates]
    shares = [
        _Share(at, update.counts / counts[at])
        for update, at in zip(updates, places, strict=True)
    ]
    return ids, counts, shares


def _mean(
    parts: Sequence[NDArray[Any]], shares: Sequence[_Share]
) -> NDArray[np.float64]:
    """Add up rows of shards at their places, each by its weight."""
    ends = (
        share.places[len(part) - 1] + 1
        for part, share in zip(parts, shares, strict=True)
        if len(part)
    )
    total = np.zeros((max(ends, default=0), parts[0].shape[1]))
    for part, share in zip(parts, shares, strict=True):
        n = len(part)
        total[share.places[:n]] += share.weights[:n, None] * part
    return total


def _divisors(
    shares: Sequence[_Share], parts_of_rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Of each id, and of the bias: what the gain of its sums is divided by."""
    n = max(int(share.places[-1]) for share in shares if share.places.size) + 1
    squares = np.zeros(n)
    for share in shares:
        squares[share.places] += share.weights**2
    return squares**-GAIN_POWER, float(np.sum(parts_of_rows**2)) ** -GAIN_POWER


def _lessen(
    rows: list[NDArray[np.float64]],
    singles: list[NDArray[np.float64]],
    blocks: Blocks,
    ids: NDArray[np.int32],
    divisors: tuple[NDArray[np.float64], float],
) -> None:
    """Divide what the sums gained, the second half of the blocks, in place."""
    before = gather(blocks, ids)
    for block in range(len(rows) // 2, len(rows)):
        gain = rows[block] - before[block]
        gain /= divisors[0][: len(gain), None]
        rows[block] = before[block] + gain
    singles[1] = blocks.singles[1] + (singles[1] - blocks.singles[1]) / divisors[1]


def _keep_zeros(
    rows: Sequence[NDArray[Any]],
    updates: Sequence[Update],
    shares: Sequence[_Share],
    l1: float,
) -> None:
    """Set to 0 what a shard has at 0, where FTRL's merged z is not above l1 either."""
    third = len(rows) // 3  # parameters, sums, moments
    for block in range(third):
        values, z = rows[block], rows[2 * third + block]
        zero = np.zeros(values.shape, np.bool_)
        for update, share in zip(updates, shares, strict=True):
            part = update.rows[block]
            zero[share.places[: len(part)]] |= part == 0
        values[zero & (np.abs(z) <= l1)] = 0
