"""Row groups of prepared files, decoded into a store of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rafm_datasets.errors import DataError
from rafm_datasets.location import Address, parquet_file

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets.prepared import PreparedData
    from rafm_datasets.stores import Store

COLUMNS_AT_ONCE = 8  # more of them take more memory, fewer more calls


class Group(NamedTuple):
    """A row group: number of its file, its number there, its rows by the manifest."""

    file: int
    number: int
    n_rows: int


class GroupReader:
    """Decodes row groups of one split; several threads may share it."""

    def __init__(self, data: PreparedData, split: str) -> None:
        self._folder = data.folder
        self._files = data.manifest.splits[split].files
        columns = ["label", *(field.name for field in data.fields)]
        if data.manifest.layout == "lists":
            columns = ["label", "ids"]
            if not data.manifest.unit_values:
                columns.append("values")
        self._columns = columns

    def decode(self, group: Group, store: Store, first: int) -> None:
        """Decode a row group into the rows of `store` from `first`.

        Parameters
        ----------
        group : Group
        store : Store                      written to; of the layout of the data
        first : int

        Raises
        ------
        DataError                          a file that is gone, damaged or another one
        """
        import pyarrow as pa

        path = self._folder / self._files[group.file].name
        at_once = COLUMNS_AT_ONCE
        if isinstance(path, Address):
            at_once = len(self._columns)  # one request, or few
        try:
            with parquet_file(path) as parquet:
                for start in range(0, len(self._columns), at_once):
                    table = parquet.read_row_group(
                        group.number,
                        columns=self._columns[start : start + at_once],
                        use_threads=False,
                    )
                    self._check(table, group, start, at_once)
                    store.fill(table, first)
        except (OSError, KeyError, IndexError, ValueError, pa.ArrowException) as error:
            raise _broken(path, error) from error

    def _check(self, table: Any, group: Group, start: int, at_once: int) -> None:
        expected = self._columns[start : start + at_once]
        missing = [name for name in expected if name not in table.column_names]
        if missing:
            raise KeyError(f"it has no column {missing[0]!r}")
        if len(table) != group.n_rows:
            raise ValueError(
                f"row group {group.number} holds {len(table)} rows, and the manifest "
                f"tells of {group.n_rows}"
            )


def _broken(path: Path, error: Exception) -> DataError:
    text = str(error.args[0] if error.args else error)
    reason = " ".join(text.split()).rstrip(".")
    if isinstance(error, FileNotFoundError):
        reason = "there is no such file"
    return DataError(
        f"cannot read {path}: {reason}; find what else is damaged with "
        "`rafm-bench verify`, and prepare the data again"
    )
