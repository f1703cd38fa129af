"""Row groups of prepared files, decoded into NumPy arrays at chosen row places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_datasets.errors import DataError
from rafm_datasets.location import open_parquet
from rafm_datasets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData

_BLOCK_ROWS = 2048  # rows turned from columns to rows at once: they fit in L2
_MAX_OPEN_FILES = 64


class GroupReader:
    """Reads row groups of one split; keeps recently used files open."""

    def __init__(self, data: PreparedData, split: str) -> None:
        self._folder = data.folder
        self._files = data.manifest.splits[split].files
        self._fields = [field.name for field in data.fields]
        self._unit = data.manifest.unit_values
        self._lists = data.manifest.layout == "lists"
        self._open: dict[int, Any] = {}

    def read(
        self, groups: Sequence[tuple[int, int]], places: NDArray[np.int64] | None
    ) -> Rows:
        """Decode row groups one after another, then move the rows to their places.

        Parameters
        ----------
        groups : sequence of (file, row group)
        places : int64[n_rows] or None     place of each row; None keeps the order

        Returns
        -------
        Rows                               new arrays, without `fields`
        """
        tables = (self._table(file, group) for file, group in groups)
        if self._lists:
            return rows_of_lists(list(tables), places, unit=self._unit)
        n_rows = sum(self._group_rows(file, group) for file, group in groups)
        return rows_of_columns(tables, n_rows, self._fields, places)

    def _group_rows(self, file: int, group: int) -> int:
        n_rows: int = self._parquet(file).metadata.row_group(group).num_rows
        return n_rows

    def _table(self, file: int, group: int) -> Any:
        columns = ["label", *(["ids"] if self._lists else self._fields)]
        if self._lists and not self._unit:
            columns.append("values")
        path = self._folder / self._files[file].name
        try:
            return self._parquet(file).read_row_group(
                group, columns=columns, use_threads=False
            )
        except (OSError, KeyError) as error:
            raise _broken(path, error) from error

    def _parquet(self, file: int) -> Any:
        if file not in self._open:
            import pyarrow as pa

            path = self._folder / self._files[file].name
            if len(self._open) >= _MAX_OPEN_FILES:
                self._open.pop(next(iter(self._open))).close(force=True)
            try:
                self._open[file] = open_parquet(path)
            except (OSError, pa.ArrowInvalid) as error:
                raise _broken(path, error) from error
        return self._open[file]

    def close(self) -> None:
        """Close the files."""
        while self._open:
            self._open.popitem()[1].close(force=True)


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(
        f"cannot read {path}: {error}; find what else is damaged with "
        "`rafm-bench verify`, and prepare the data again"
    )


def rows_of_columns(
    tables: Any, n_rows: int, fields: list[str], places: NDArray[np.int64] | None
) -> Rows:
    """Decode tables of one column a field, one after another."""
    n_fields = len(fields)
    matrix = np.empty((n_rows, n_fields), np.int32)
    labels = np.empty(n_rows, np.float32)
    done = 0
    for table in tables:
        columns = [table[name].to_numpy() for name in fields]
        label = table["label"].to_numpy()
        for start in range(0, len(label), _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, len(label))
            block = np.empty((stop - start, n_fields), np.int32)
            for j, column in enumerate(columns):
                block[:, j] = column[start:stop]
            rows = slice(done + start, done + stop)
            to = rows if places is None else places[rows]
            matrix[to] = block
            labels[to] = label[start:stop]
        done += len(label)
    indptr = np.arange(n_rows + 1, dtype=np.int64) * n_fields
    return Rows(indptr, matrix.reshape(-1), None, None, labels)


def rows_of_lists(
    tables: list[Any], places: NDArray[np.int64] | None, *, unit: bool
) -> Rows:
    """Decode tables of lists of ids and values, one after another."""
    import pyarrow as pa

    table = pa.concat_tables(tables).combine_chunks()
    labels = table["label"].to_numpy()
    lists: Any = table["ids"].combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    offsets -= offsets[0]
    ids = lists.flatten().to_numpy()
    values = None
    if not unit:
        weights: Any = table["values"].combine_chunks()
        values = weights.flatten().to_numpy()
    rows = Rows(offsets, ids, values, None, labels)
    return rows if places is None else _moved(rows, places)


def _moved(rows: Rows, places: NDArray[np.int64]) -> Rows:
    lengths = np.diff(rows.indptr)
    labels = np.empty_like(rows.labels)
    labels[places] = rows.labels
    indptr = np.zeros_like(rows.indptr)
    indptr[1:][places] = lengths
    np.cumsum(indptr, out=indptr)
    to = np.arange(rows.indptr[-1])
    to += np.repeat(indptr[places] - rows.indptr[:-1], lengths)
    ids = np.empty_like(rows.ids)
    ids[to] = rows.ids
    values = None
    if rows.values is not None:
        values = np.empty_like(rows.values)
        values[to] = rows.values
    return Rows(indptr, ids, values, None, labels)
