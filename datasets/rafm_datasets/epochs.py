"""Rows of a split in the order of an epoch, read ahead, resumable at any row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.epoch_order import WINDOW_GROUPS, epoch_order
from rafm_datasets.errors import DataError
from rafm_datasets.reading import Reading
from rafm_datasets.rows import join
from rafm_datasets.windows import WindowLoader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_datasets.epoch_order import EpochOrder
    from rafm_datasets.prepared import PreparedData
    from rafm_datasets.rows import Rows
    from rafm_datasets.windows import Window

_DEFAULT = Reading()


def stream(
    data: PreparedData,
    split: str,
    chunk_rows: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    start_row: int = 0,
    with_fields: bool = False,
    window_groups: int = WINDOW_GROUPS,
    shard: tuple[int, int] = (0, 1),
    reading: Reading = _DEFAULT,
) -> Iterator[Rows]:
    """Read a split in chunks of `chunk_rows` rows, ahead of the caller.

    Parameters
    ----------
    data : PreparedData
    split : str                        one of `data.manifest.splits`
    chunk_rows : int                   rows of every chunk but the last, >= 1
    seed : int or None                 None: the order of the files
    epoch : int                        counts from 0; another one, another order
    start_row : int                    rows of the epoch to pass over, at no cost
    with_fields : bool                 give the field of each entry too
    window_groups : int                row groups mixed together; another number,
                                       another order
    shard : (s, n)                     read only the row groups at places s, s + n, ...
                                       of the epoch
    reading : Reading                  threads and memory; the rows do not depend on it

    Yields
    ------
    Rows                               new arrays; nothing else refers to them

    Raises
    ------
    DataError                          no such split, a row out of range, broken file
    """
    order = epoch_order(
        data,
        split,
        seed=seed,
        epoch=epoch,
        window_groups=window_groups,
        shard=shard,
    )
    n_rows = order.first_rows[-1]
    if chunk_rows < 1 or not 0 <= start_row <= n_rows:
        raise DataError(
            f"cannot read {split} of {data.folder} in chunks of {chunk_rows} from row "
            f"{start_row}: chunks need 1 row or more, and it has {n_rows} rows"
        )
    chunks = _read_ahead(data, split, order, start_row, chunk_rows, reading)
    return _with_fields(data, chunks) if with_fields else chunks


def _read_ahead(
    data: PreparedData,
    split: str,
    order: EpochOrder,
    start_row: int,
    chunk_rows: int,
    reading: Reading,
) -> Iterator[Rows]:
    """Decode windows in some threads, put rows in order in one more, a chunk ahead."""
    at = int(np.searchsorted(order.first_rows, start_row, side="right")) - 1
    decoding = ThreadPoolExecutor(reading.n_threads, "read-ahead-decode")
    ordering = ThreadPoolExecutor(1, "read-ahead-order")
    loader = WindowLoader(data, split, order, reading, decoding)
    chunks = _chunks(loader.windows(at), start_row - order.first_rows[at], chunk_rows)
    try:
        coming = ordering.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = ordering.submit(next, chunks, None)
            yield chunk
            del chunk
    finally:
        decoding.shutdown(wait=True, cancel_futures=True)
        ordering.shutdown(wait=True, cancel_futures=True)


def _chunks(windows: Iterator[Window], skip: int, chunk_rows: int) -> Iterator[Rows]:
    """Cut windows into chunks of one length, the last one shorter."""
    held: list[Rows] = []
    n_held = 0
    for window in windows:
        start, n_rows, skip = skip, len(window.rows), 0
        while start < n_rows:
            stop = min(start + chunk_rows - n_held, n_rows)
            held.append(window.take(start, stop))
            n_held += stop - start
            start = stop
            if n_held == chunk_rows:
                yield join(held)
                held, n_held = [], 0
        del window  # the next one's memory is taken when this one's is free
    if held:
        yield join(held)


def _with_fields(data: PreparedData, chunks: Iterator[Rows]) -> Iterator[Rows]:
    if data.manifest.layout == "lists":
        field_of = data.field_of_feature()
        for rows in chunks:
            yield rows._replace(fields=field_of[rows.ids])
        return
    index = np.arange(len(data.fields), dtype=np.int32)
    for rows in chunks:
        yield rows._replace(fields=np.tile(index, len(rows.labels)))
