"""`Rows`: rows of a split in CSR form, cut and joined without a loop over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray


class Rows(NamedTuple):
    """Rows in CSR form; row r has the entries indptr[r] : indptr[r + 1]."""

    indptr: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[np.float32] | None  # None: all ones
    fields: NDArray[np.int32] | None
    labels: NDArray[np.float32]


def cut(rows: Rows, start: int, stop: int) -> Rows:
    """Take the rows start : stop; all but indptr are views.

    Parameters
    ----------
    rows : Rows
    start, stop : int                  0 <= start <= stop <= number of rows

    Returns
    -------
    Rows
    """
    first, last = rows.indptr[start], rows.indptr[stop]
    return Rows(
        indptr=rows.indptr[start : stop + 1] - first,
        ids=rows.ids[first:last],
        values=None if rows.values is None else rows.values[first:last],
        fields=None if rows.fields is None else rows.fields[first:last],
        labels=rows.labels[start:stop],
    )


def join(parts: Sequence[Rows]) -> Rows:
    """Put rows one after another; new arrays unless there is one part only.

    Parameters
    ----------
    parts : sequence of Rows           at least one; all with or all without values

    Returns
    -------
    Rows
    """
    if len(parts) == 1:
        return parts[0]
    bases = np.cumsum([0] + [part.indptr[-1] for part in parts[:-1]])
    starts = [part.indptr[:-1] + base for part, base in zip(parts, bases, strict=True)]
    end = bases[-1:] + parts[-1].indptr[-1]
    values = [part.values for part in parts if part.values is not None]
    fields = [part.fields for part in parts if part.fields is not None]
    return Rows(
        indptr=np.concatenate([*starts, end]),
        ids=np.concatenate([part.ids for part in parts]),
        values=np.concatenate(values) if values else None,
        fields=np.concatenate(fields) if fields else None,
        labels=np.concatenate([part.labels for part in parts]),
    )


def rechunk(blocks: Iterable[Rows], chunk_rows: int) -> Iterator[Rows]:
    """Recut blocks of any length into chunks of one length, the last one shorter.

    Parameters
    ----------
    blocks : iterable of Rows
    chunk_rows : int                   rows of a chunk, >= 1

    Yields
    ------
    Rows
    """
    held: list[Rows] = []
    n_held = 0
    for block in blocks:
        start, n_rows = 0, len(block.labels)
        while n_held + n_rows - start >= chunk_rows:
            stop = start + chunk_rows - n_held
            yield join([*held, cut(block, start, stop)])
            held, n_held, start = [], 0, stop
        if start < n_rows:
            held.append(cut(block, start, n_rows))
            n_held += n_rows - start
    if held:
        yield join(held)
