"""Decoded rows in the order of the files: what chunks in another order are taken from.

Both layouts offer the same: `fill` puts a decoded table in its place, `take` gives any
rows in any order. Several threads may fill different rows of a store at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rafm_datasets.arrays import entries_of, numbers_of
from rafm_datasets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData

_BLOCK_ROWS = 2048  # rows turned from columns to rows at once: they fit in L2


class Store(Protocol):
    """Decoded rows of row groups, one group after another."""

    def fill(self, table: pa.Table, first: int) -> None:
        """Put all rows of a table, or some of their columns, in place from `first`."""

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Give rows in the order asked for, as new arrays without `fields`."""


def make_store(data: PreparedData, group_rows: Sequence[int]) -> Store:
    """Make an empty store; its memory is taken as it is filled.

    Parameters
    ----------
    data : PreparedData                whose layout, columns or lists, decides
    group_rows : sequence of int       rows of each row group that it is to hold

    Returns
    -------
    Store
    """
    if data.manifest.layout == "lists":
        return ListStore(group_rows, data.n_features)
    fields = [field.name for field in data.fields]
    return ColumnStore(sum(group_rows), fields, data.n_features)


class ColumnStore:
    """Rows of one id a field: int32[n_rows, n_fields] and float32[n_rows]."""

    def __init__(self, n_rows: int, fields: Sequence[str], n_features: int) -> None:
        self._n_features = n_features
        self._number = {name: number for number, name in enumerate(fields)}
        self._ids = np.empty((n_rows, len(fields)), np.int32)
        self._labels = np.empty(n_rows, np.float32)

    def fill(self, table: pa.Table, first: int) -> None:
        """As in `Store`."""
        n_rows, columns = len(table), {}
        for name in table.column_names:
            values = numbers_of(table[name])
            if name == "label":
                self._labels[first : first + n_rows] = values
                continue
            _check_ids(values, self._n_features, name)
            columns[self._number[name]] = values
        for start in range(0, n_rows, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, n_rows)
            block = self._ids[first + start : first + stop]
            for number, values in columns.items():
                block[:, number] = values[start:stop]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """As in `Store`."""
        n_fields = len(self._number)
        indptr = np.arange(0, (len(rows) + 1) * n_fields, n_fields, dtype=np.int64)
        if not n_fields:
            indptr = np.zeros(len(rows) + 1, np.int64)
        ids = self._ids.take(rows, axis=0).reshape(-1)
        return Rows(indptr, ids, None, None, self._labels.take(rows))


class ListStore:
    """Rows of any number of entries, a CSR for each row group."""

    def __init__(self, group_rows: Sequence[int], n_features: int) -> None:
        self._n_features = n_features
        ends = np.cumsum([0, *group_rows])
        self._firsts = ends[:-1]
        self._groups: dict[int, Rows] = {}

    def fill(self, table: pa.Table, first: int) -> None:
        """As in `Store`; the table has all columns."""
        rows = rows_of_lists(table)
        _check_ids(rows.ids, self._n_features, "ids")
        self._groups[first] = rows

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """As in `Store`."""
        numbers = np.searchsorted(self._firsts, rows, side="right") - 1
        parts = []
        for number in np.unique(numbers):
            first = int(self._firsts[number])
            at = np.flatnonzero(numbers == number)
            parts.append((self._groups[first], at, rows[at] - first))
        return _gathered(parts, len(rows))


def rows_of_lists(table: pa.Table) -> Rows:
    """Take the lists of a table, its columns label, ids and maybe values, as rows."""
    lists: Any = table["ids"].combine_chunks()
    offsets = numbers_of(lists.offsets).astype(np.int64)
    offsets -= offsets[0]
    values = None
    if "values" in table.column_names:
        weights: Any = table["values"].combine_chunks()
        values = numbers_of(weights.flatten())
    ids = numbers_of(lists.flatten())
    return Rows(offsets, ids, values, None, numbers_of(table["label"]))


def rows_of_columns(table: pa.Table, fields: Sequence[str], n_features: int) -> Rows:
    """Take the columns of a table, label and the fields, as rows in its order."""
    store = ColumnStore(len(table), fields, n_features)
    store.fill(table, 0)
    return store.take(np.arange(len(table)))


def _gathered(
    parts: list[tuple[Rows, NDArray[np.int64], NDArray[np.int64]]], n_rows: int
) -> Rows:
    """Put the rows `local` of each part at the places `at`."""
    indptr = np.zeros(n_rows + 1, np.int64)
    labels = np.empty(n_rows, np.float32)
    for rows, at, local in parts:
        indptr[at + 1] = rows.indptr[local + 1] - rows.indptr[local]
        labels[at] = rows.labels[local]
    np.cumsum(indptr, out=indptr)
    ids = np.empty(indptr[-1], np.int32)
    weighted = bool(parts) and parts[0][0].values is not None
    values = np.empty(indptr[-1], np.float32) if weighted else None
    for rows, at, local in parts:
        to, come_from = entries_of(indptr, at), entries_of(rows.indptr, local)
        ids[to] = rows.ids[come_from]
        if values is not None and rows.values is not None:
            values[to] = rows.values[come_from]
    return Rows(indptr, ids, values, None, labels)


def _check_ids(ids: NDArray[np.int32], n_features: int, column: str) -> None:
    """Raise ValueError for an id that the data does not have."""
    if ids.size and not (ids.min() >= 0 and ids.max() < n_features):
        raise ValueError(
            f"column {column!r} holds ids from {ids.min()} to {ids.max()}, and the "
            f"data has features 0 to {n_features - 1}"
        )
