"""Rows of a split in the order of an epoch, read ahead, resumable at any row.

The order is a pure function of (prepared data, seed, epoch): a permutation of all row
groups, cut into windows of `WINDOW_GROUPS`, the rows of each window permuted.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.errors import DataError
from rafm_datasets.groups import GroupReader
from rafm_datasets.order import permutation, stream_key
from rafm_datasets.prepared import check_split
from rafm_datasets.rows import Rows, cut, rechunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData

WINDOW_GROUPS = 8  # row groups mixed together; changing it changes every epoch


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

    def places(self, window: int) -> NDArray[np.int64] | None:
        """Give the place of each row within its window; None: rows stay."""
        if self.seed is None:
            return None
        key = stream_key(self.seed, "window", self.epoch, window)
        n_rows = self.first_rows[window + 1] - self.first_rows[window]
        return permutation(key, n_rows)


def epoch_order(
    data: PreparedData, split: str, *, seed: int | None, epoch: int
) -> EpochOrder:
    """Lay out the order of one epoch, from the manifest alone.

    Parameters
    ----------
    data : PreparedData
    split : str
    seed : int or None                 None: the order of the files
    epoch : int                        counts from 0

    Returns
    -------
    EpochOrder
    """
    groups = _row_groups(data, split)
    step = 1
    if seed is not None:
        step = WINDOW_GROUPS
        groups = groups[permutation(stream_key(seed, "groups", epoch), len(groups))]
    starts = (*range(0, len(groups), step), len(groups))
    ends = np.concatenate([[0], np.cumsum(groups[:, 2])])
    first_rows = tuple(int(ends[start]) for start in starts)
    return EpochOrder(groups, starts, first_rows, seed, epoch)


def stream(
    data: PreparedData,
    split: str,
    chunk_rows: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    start_row: int = 0,
    with_fields: bool = False,
) -> Iterator[Rows]:
    """Read a split in chunks of `chunk_rows` rows, one window ahead in a thread.

    Parameters
    ----------
    data : PreparedData
    split : str                        one of `data.manifest.splits`
    chunk_rows : int                   rows of every chunk but the last, >= 1
    seed : int or None                 None: the order of the files
    epoch : int                        counts from 0; another one, another order
    start_row : int                    rows of the epoch to pass over, at no cost
    with_fields : bool                 give the field of each entry too

    Yields
    ------
    Rows                               not to be written to: chunks may share memory

    Raises
    ------
    DataError                          no such split, a row out of range, broken file
    """
    n_rows = data.manifest.splits[check_split(data, split)].rows
    if chunk_rows < 1 or not 0 <= start_row <= n_rows:
        raise DataError(
            f"cannot read {split} of {data.folder} in chunks of {chunk_rows} from row "
            f"{start_row}: chunks need 1 row or more, and it has {n_rows} rows"
        )
    order = epoch_order(data, split, seed=seed, epoch=epoch)
    chunks = rechunk(_windows(data, split, order, start_row), chunk_rows)
    return _with_fields(data, chunks) if with_fields else chunks


def _windows(
    data: PreparedData, split: str, order: EpochOrder, start_row: int
) -> Iterator[Rows]:
    firsts = np.asarray(order.first_rows)
    at = int(np.searchsorted(firsts, start_row, side="right")) - 1
    reader = GroupReader(data, split)

    def load(window: int) -> Rows:
        part = order.groups[order.starts[window] : order.starts[window + 1]]
        groups = [(int(file), int(group)) for file, group, *_ in part]
        return reader.read(groups, order.places(window))

    windows = range(at, len(order.starts) - 1)
    skip = start_row - order.first_rows[at]
    with (
        contextlib.closing(reader),
        ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool,
    ):
        ahead = [pool.submit(load, window) for window in windows[:1]]
        for window in windows:
            rows = ahead.pop().result()
            if window + 1 in windows:
                ahead.append(pool.submit(load, window + 1))
            yield cut(rows, skip, len(rows.labels)) if skip else rows
            skip = 0
            del rows


def _row_groups(data: PreparedData, split: str) -> NDArray[np.int64]:
    size = data.manifest.row_group_rows
    table: list[tuple[int, int, int, int]] = []
    first = 0
    for number, file in enumerate(data.manifest.splits[split].files):
        cuts = [*range(0, file.rows, size), file.rows]
        for group, (start, stop) in enumerate(pairwise(cuts)):
            table.append((number, group, stop - start, first + start))
        first += file.rows
    return np.array(table, np.int64).reshape(-1, 4)


def _with_fields(data: PreparedData, chunks: Iterator[Rows]) -> Iterator[Rows]:
    if data.manifest.layout == "lists":
        field_of = data.field_of_feature()
        for rows in chunks:
            yield rows._replace(fields=field_of[rows.ids])
        return
    index = np.arange(len(data.fields), dtype=np.int32)
    for rows in chunks:
        yield rows._replace(fields=np.tile(index, len(rows.labels)))
