"""The rows that a backend is given: a CSR matrix with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class Batch(NamedTuple):
    """Rows of features in CSR form; row r has entries indptr[r]..indptr[r + 1].

    Attributes
    ----------
    indptr : int64[n_rows + 1]
    ids : int32[n_entries]             ids of the layout, each at most once in a row
    values : float[n_entries] | None   x_i; None where all are 1
    fields : int32[n_entries] | None   field of each entry, for models that need it; a
        feature is of one field in all rows
    labels : float32[n_rows]
    """

    indptr: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[np.floating] | None
    fields: NDArray[np.int32] | None
    labels: NDArray[np.float32]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.labels)


def make_batch(
    indptr: ArrayLike,
    ids: ArrayLike,
    labels: ArrayLike,
    values: ArrayLike | None = None,
    fields: ArrayLike | None = None,
    *,
    n_features: int,
) -> Batch:
    """Check arrays from outside and make them a batch; duplicate ids are merged.

    Parameters
    ----------
    indptr : int[n_rows + 1]           row boundaries, from 0, never decreasing
    ids : int[n_entries]               in 0..n_features - 1, of the layout
    labels : float[n_rows]
    values : float[n_entries]          x_i; None where all are 1
    fields : int[n_entries]            field of each entry
    n_features : ids that the model knows

    Returns
    -------
    Batch                              arrays are taken as they are where types agree;
                                       a row's duplicate ids become one entry with the
                                       sum of their values, at the first one's place

    Raises
    ------
    ValueError                         for shapes that disagree, an id out of range, or
                                       a value or label that is not finite
    """
    starts = _one_dimensional("indptr", indptr, np.int64)
    targets = _one_dimensional("labels", labels, np.float32)
    codes = _checked_ids(ids, starts, len(targets), n_features)
    x = None if values is None else _checked_values(values, starts)
    owners = None if fields is None else _one_dimensional("fields", fields, np.int32)
    for name, array in (("values", x), ("fields", owners)):
        if array is not None and len(array) != len(codes):
            raise ValueError(
                f"`{name}` must have one number for each of the {len(codes)} entries, "
                f"got {len(array)}"
            )
    if not np.isfinite(targets).all():
        at = int(np.flatnonzero(~np.isfinite(targets))[0])
        raise ValueError(f"`labels` must be finite, got {targets[at]} in row {at}")
    return merge_duplicates(Batch(starts, codes, x, owners, targets))


def _one_dimensional(
    name: str, given: ArrayLike, dtype: DTypeLike | None = None
) -> NDArray[Any]:
    array = np.asarray(given)
    if array.ndim != 1:
        raise ValueError(f"`{name}` must be one-dimensional, got shape {array.shape}")
    return np.ascontiguousarray(array, dtype=dtype or array.dtype)


def check_indptr(indptr: NDArray[np.integer], n_rows: int, n_entries: int) -> None:
    """Raise ValueError unless `indptr` cuts that many entries into that many rows."""
    if len(indptr) != n_rows + 1:
        raise ValueError(
            f"`indptr` must have one number more than the {n_rows} labels, got "
            f"{len(indptr)}"
        )
    if indptr[0] != 0 or indptr[-1] != n_entries or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"`indptr` must rise from 0 to the number of entries, {n_entries}; got "
            f"{indptr[0]} to {indptr[-1]}"
        )


def check_ids(ids: NDArray[Any], indptr: NDArray[np.integer], n_features: int) -> None:
    """Raise ValueError unless all ids are integers in 0..n_features - 1."""
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"`ids` must be integers, got {ids.dtype}")
    # What is below 0 is above all others as an unsigned number: one pass, not two.
    if ids.size and ids.view(f"u{ids.itemsize}").max() >= n_features:
        at = int(np.flatnonzero((ids < 0) | (ids >= n_features))[0])
        raise ValueError(
            f"`ids` must lie in 0..{n_features - 1}, got {ids[at]} in row "
            f"{_row_of(indptr, at)}; encode the rows with the model's own data set"
        )


def _row_of(indptr: NDArray[np.integer], entry: int) -> int:
    return int(np.searchsorted(indptr, entry, side="right")) - 1


def _checked_ids(
    ids: ArrayLike, indptr: NDArray[np.int64], n_rows: int, n_features: int
) -> NDArray[np.int32]:
    array = _one_dimensional("ids", ids)
    check_indptr(indptr, n_rows, len(array))
    if array.size:  # an empty list is one of floats
        check_ids(array, indptr, n_features)
    return array.astype(np.int32, copy=False)


def _checked_values(
    values: ArrayLike, indptr: NDArray[np.int64]
) -> NDArray[np.floating]:
    array = _one_dimensional("values", values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"`values` must be finite, got {array[at]} in row {_row_of(indptr, at)}"
        )
    return array


def merge_duplicates(batch: Batch) -> Batch:
    """Make each id stand at most once in a row; the batch itself if so already.

    Parameters
    ----------
    batch : Batch

    Returns
    -------
    Batch                              a row's duplicate ids become one entry with the
                                       sum of their values, at the first one's place
    """
    n_rows = len(batch.labels)
    rows = np.repeat(np.arange(n_rows), np.diff(batch.indptr))
    pairs = np.sort((rows << 32) | batch.ids)  # of values: far faster than lexsort
    if not (pairs[1:] == pairs[:-1]).any():
        return batch
    by_id = np.lexsort((batch.ids, rows))
    same = (np.diff(batch.ids[by_id]) == 0) & (np.diff(rows[by_id]) == 0)
    group = np.concatenate([[0], np.cumsum(~same)])
    first = np.full(group[-1] + 1, len(by_id))
    np.minimum.at(first, group, by_id)
    x = np.ones(len(by_id), np.float32) if batch.values is None else batch.values
    sums = np.zeros(len(first), x.dtype)
    np.add.at(sums, group, x[by_id])
    place = np.argsort(first)
    kept = first[place]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=n_rows))])
    fields = None if batch.fields is None else batch.fields[kept]
    return Batch(indptr, batch.ids[kept], sums[place], fields, batch.labels)


def slice_rows(batch: Batch, start: int, stop: int) -> Batch:
    """Rows start..stop of a batch, or those up to its end; arrays are views."""
    indptr = batch.indptr[start : stop + 1]
    inside = slice(indptr[0], indptr[-1])
    values = None if batch.values is None else batch.values[inside]
    fields = None if batch.fields is None else batch.fields[inside]
    labels = batch.labels[start:stop]
    return Batch(indptr - indptr[0], batch.ids[inside], values, fields, labels)
