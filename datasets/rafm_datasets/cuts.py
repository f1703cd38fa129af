"""Where partitions begin in each chunk, when the order of rows is raw or by time.

Partitions then hold the same number of rows each, whatever the chunks are. Those of
mixed rows are cut by hash, in each chunk by itself (see `encode`).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.splits import row_order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.encode import Layout
    from rafm_datasets.options import PrepareOptions


def find_cuts(
    chunks: Sequence[ChunkStats],
    layout: Layout,
    options: PrepareOptions,
    folder: Path,
) -> list[tuple[NDArray[np.int64] | None, ...]]:
    """Find where each partition begins and ends in the rows of each chunk.

    Parameters
    ----------
    chunks : sequence of ChunkStats    all of them, in order
    layout : Layout
    options : PrepareOptions
    folder : Path                      of the work files

    Returns
    -------
    list of tuple                      for each chunk, for each split: int64[n_parts +
                                       1], counted from the split's first row in the
                                       chunk; None when rows are mixed
    """
    of_split: list[Sequence[NDArray[np.int64] | None]] = []
    for index, split in enumerate(SPLIT_NAMES):
        sizes = [chunk.rows[index] for chunk in chunks]
        bounds = np.arange(layout.partitions[index] + 1) * layout.partition_rows
        order = row_order(split, options)
        if order == "mixed":
            of_split.append([None] * len(chunks))
        elif order == "raw":
            before = [0, *accumulate(sizes)]
            of_split.append(
                [
                    np.clip(bounds - rows_before, 0, size)
                    for rows_before, size in zip(before, sizes, strict=False)
                ]
            )
        else:
            times = [_Times(chunk, index, folder) for chunk in chunks]
            of_split.append(_time_cuts(times, bounds))
    return list(zip(*of_split, strict=True))


class _Times:
    """The times of one split in one chunk, sorted; mapped only while looked at."""

    def __init__(self, chunk: ChunkStats, index: int, folder: Path) -> None:
        self._path = folder / f"{chunk.number:06d}.times"
        self._start = sum(chunk.rows[:index])
        self.size = chunk.rows[index]

    def places(self, times: NDArray[np.int64], side: str) -> NDArray[np.int64]:
        """Find the places of some times."""
        if not self.size:
            return np.zeros(len(times), np.int64)
        mapped = np.memmap(
            self._path, np.int64, "r", offset=8 * self._start, shape=(self.size,)
        )
        return np.searchsorted(mapped, times, side=side)  # type: ignore[call-overload,no-any-return]

    def ends(self) -> list[int]:
        """Give the first and the last time."""
        if not self.size:
            return []
        start, stop = 8 * self._start, 8 * (self._start + self.size - 1)
        return [
            int(np.fromfile(self._path, np.int64, 1, offset=o)[0])
            for o in (start, stop)
        ]


def _time_cuts(
    chunks: Sequence[_Times], bounds: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Cut at the rows of rank `bounds` in the order of (time, chunk, row)."""
    if len(bounds) < 2:
        return [np.zeros(len(bounds), np.int64) for _ in chunks]
    inner = bounds[1:-1]
    times = _times_at(chunks, inner)
    below = np.array([chunk.places(times, "left") for chunk in chunks])
    equal = np.array([chunk.places(times, "right") for chunk in chunks]) - below
    earlier = np.cumsum(equal, axis=0) - equal
    cuts = below + np.clip(inner - below.sum(axis=0) - earlier, 0, equal)
    return [
        np.concatenate([[0], cut, [chunk.size]])
        for cut, chunk in zip(cuts, chunks, strict=True)
    ]


def _times_at(chunks: Sequence[_Times], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the time of the row of each rank over all chunks, by bisection."""
    ends = [end for chunk in chunks for end in chunk.ends()]
    low = np.full(len(ranks), min(ends), np.int64)
    high = np.full(len(ranks), max(ends), np.int64)
    while (low < high).any():
        middle = low + (high - low) // 2
        n_rows = sum(chunk.places(middle, "right") for chunk in chunks)
        reached = n_rows > ranks
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle + 1)
    return low
