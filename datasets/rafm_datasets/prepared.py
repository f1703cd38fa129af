"""Prepared data, opened: the noun that `stream` and the trainer are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_datasets.arrays import numbers_of
from rafm_datasets.errors import DataError
from rafm_datasets.location import locate, parquet_file
from rafm_datasets.manifest import Field, Manifest, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A prepared folder and its manifest; made by `open_prepared`."""

    folder: Path
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Hash of what defines the data, as in `Manifest.fingerprint`."""
        return self.manifest.fingerprint

    @property
    def n_features(self) -> int:
        """Number of feature ids, the reserved ones counted."""
        return self.manifest.n_features

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in column order."""
        return self.manifest.fields

    @property
    def task(self) -> str:
        """Either "classification" (labels 0 and 1) or "regression"."""
        return self.manifest.task

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows."""
        return tuple(n for n, split in self.manifest.splits.items() if split.rows)

    def rows(self, split: str) -> int:
        """Count the rows of a split; 0 when it is empty."""
        return self.manifest.splits[check_split(self, split)].rows

    def null_id(self, field: str) -> int:
        """Give the id that stands for a missing value of `field`."""
        return self._field(field).null_id

    def rare_id(self, field: str) -> int:
        """Give the id that stands for a rare or unseen value of `field`."""
        return self._field(field).rare_id

    def frequencies(self) -> pl.DataFrame:
        """Read the table of features, one row for each id, in id order.

        Returns
        -------
        polars.DataFrame               id, field, value, kind (value | null | rare),
                                       train_count, valid_count, test_count,
                                       train_label_sum
        """
        import polars as pl

        with (self.folder / self.manifest.frequencies.name).open("rb") as file:
            return pl.read_parquet(file)

    def train_counts(self) -> NDArray[np.int64]:
        """Read how often each feature occurs in the training split.

        Returns
        -------
        int64[n_features]              new array; never increases with the id, unless
                                       counted over all splits
        """
        return numbers_of(self._column("train_count")).astype(np.int64, copy=False)

    def field_of_feature(self) -> NDArray[np.int32]:
        """Read which field each feature belongs to.

        Returns
        -------
        int32[n_features]              index into `fields`
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        names = pa.array([field.name for field in self.fields])
        index = pc.index_in(self._column("field"), value_set=names)
        return numbers_of(index).astype(np.int32, copy=False)

    def _column(self, name: str) -> pa.ChunkedArray[Any]:
        path = self.folder / self.manifest.frequencies.name
        with parquet_file(path) as parquet:
            column: pa.ChunkedArray[Any] = parquet.read(columns=[name])[name]
            return column

    def _field(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(field.name for field in self.fields)
        raise DataError(f"{self.folder} has no field {name!r}; its fields are {known}")


def open_prepared(folder: str | Path) -> PreparedData:
    """Open a folder made by `prepare`, here or at an address.

    Parameters
    ----------
    folder : str or Path               may be an address; holds manifest.json

    Returns
    -------
    PreparedData

    Raises
    ------
    DataError                          not prepared data, half-written, or newer
    """
    path = locate(folder)
    return PreparedData(path, read_manifest(path))


def check_split(data: PreparedData, split: str) -> str:
    """Return `split` if the data has a split of that name; DataError otherwise."""
    if split not in data.manifest.splits:
        known = ", ".join(data.manifest.splits)
        raise DataError(f"{data.folder} has no split {split!r}; choose one of {known}")
    return split
