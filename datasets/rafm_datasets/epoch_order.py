"""The order of rows of an epoch: a pure function of data, seed, epoch, window, shard.

A permutation of all row groups, dealt out to the shards, cut into windows of some row
groups; the rows of each window permuted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.errors import DataError
from rafm_datasets.order import permutation, stream_key
from rafm_datasets.prepared import check_split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData

WINDOW_GROUPS = 8  # row groups mixed together, where not told otherwise


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """Row groups of a split in the order of an epoch, cut into windows.

    `groups` holds (file, row group, rows, first row in the split); window w is
    groups[starts[w] : starts[w + 1]] and begins at row first_rows[w] of the epoch.
    """

    groups: NDArray[np.int64]
    starts: tuple[int, ...]
    first_rows: tuple[int, ...]
    seed: int | None
    epoch: int
    shard: tuple[int, int]

    def window(self, number: int) -> NDArray[np.int64]:
        """Give the row groups of a window, as in `groups`."""
        return self.groups[self.starts[number] : self.starts[number + 1]]

    def places(self, number: int) -> NDArray[np.int64] | None:
        """Give the place of each row within its window; None: rows stay."""
        if self.seed is None:
            return None
        shard, n_shards = self.shard
        among_all = number * n_shards + shard
        key = stream_key(self.seed, "window", self.epoch, among_all)
        return permutation(key, self.first_rows[number + 1] - self.first_rows[number])


def epoch_order(
    data: PreparedData,
    split: str,
    *,
    seed: int | None,
    epoch: int,
    window_groups: int = WINDOW_GROUPS,
    shard: tuple[int, int] = (0, 1),
) -> EpochOrder:
    """Lay out the order of one epoch, from the manifest alone.

    Parameters
    ----------
    data : PreparedData
    split : str
    seed : int or None                 None: the order of the files
    epoch : int                        counts from 0
    window_groups : int                row groups mixed together, >= 1
    shard : (s, n)                     only the row groups at places s, s + n, ... of
                                       the epoch; 0 <= s < n

    Returns
    -------
    EpochOrder

    Raises
    ------
    DataError                          no such split, window or shard
    """
    s, n = shard
    if window_groups < 1 or not 0 <= s < n:
        raise DataError(
            f"cannot read {split} of {data.folder} as shard {s} of {n} in windows of "
            f"{window_groups} row groups: a window has 1 or more, shards count from 0"
        )
    groups = group_table(data, split)
    if seed is not None:
        groups = groups[permutation(stream_key(seed, "groups", epoch), len(groups))]
    groups = groups[s::n]
    step = 1 if seed is None else window_groups
    starts = (*range(0, len(groups), step), len(groups))
    ends = np.concatenate([[0], np.cumsum(groups[:, 2])])
    first_rows = tuple(int(ends[start]) for start in starts)
    return EpochOrder(groups, starts, first_rows, seed, epoch, shard)


def rows_of_shard(
    data: PreparedData, split: str, shard: tuple[int, int], *, seed: int, epoch: int
) -> int:
    """Count the rows of a shard in one epoch, from the manifest alone.

    Parameters
    ----------
    data : PreparedData
    split : str
    shard : (s, n)                     as in `epoch_order`
    seed, epoch : int                  shards hold other row groups in each epoch

    Returns
    -------
    int
    """
    return epoch_order(data, split, seed=seed, epoch=epoch, shard=shard).first_rows[-1]


def group_table(data: PreparedData, split: str) -> NDArray[np.int64]:
    """List the row groups of a split: (file, row group, rows, first row in the split).

    Parameters
    ----------
    data : PreparedData
    split : str

    Returns
    -------
    int64[n_groups, 4]                 in the order of the files
    """
    size = data.manifest.row_group_rows
    table: list[tuple[int, int, int, int]] = []
    first = 0
    for number, file in enumerate(data.manifest.splits[check_split(data, split)].files):
        cuts = [*range(0, file.rows, size), file.rows]
        for group, (start, stop) in enumerate(pairwise(cuts)):
            table.append((number, group, stop - start, first + start))
        first += file.rows
    return np.array(table, np.int64).reshape(-1, 4)
