"""Data frames whose columns are fields: each distinct value becomes a feature."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from rafm_bench.errors import UserError
from rafm_bench.estimators.entries import Entries


@dataclass(frozen=True, slots=True)
class Column:
    """What one column became; its features are `first`, `first + 1`, ...

    Attributes
    ----------
    values : distinct values as strings, sorted, null last; None for a column of floats,
        which is one feature with the float as its value
    """

    name: str
    first: int
    values: pl.Series | None

    @property
    def n_features(self) -> int:
        """Number of features of the column."""
        return 1 if self.values is None else len(self.values)


def is_frame(data: object) -> bool:
    """Tell whether `data` is a pandas or Polars data frame."""
    pandas = sys.modules.get("pandas")
    return isinstance(data, pl.DataFrame) or (
        pandas is not None and isinstance(data, pandas.DataFrame)
    )


def has_categories(frame: Any) -> bool:
    """Tell whether any column of a frame holds something else than floats."""
    return not all(one.dtype.is_float() for one in _series_of(frame))


def learn_columns(frame: Any) -> tuple[Column, ...]:
    """Give features their numbers: column after column, sorted values in each."""
    columns: list[Column] = []
    first = 0
    for series in _series_of(frame):
        is_number = series.dtype.is_float()
        values = None if is_number else _texts(series).unique().sort(nulls_last=True)
        columns.append(Column(series.name, first, values))
        first += columns[-1].n_features
    return tuple(columns)


def entries_of_frame(frame: Any, columns: tuple[Column, ...]) -> Entries:
    """Take the rows of a frame as entries of the features that were learned.

    A value that was not learned has no entry, nor has the float 0.
    """
    n_rows = len(frame)
    features = np.empty((n_rows, len(columns)), np.int64)
    values = np.ones((n_rows, len(columns)), np.float32)
    for place, (series, column) in enumerate(
        zip(_series_of(frame), columns, strict=True)
    ):
        if column.values is None:
            values[:, place] = _numbers(series)
            features[:, place] = np.where(values[:, place] != 0, column.first, -1)
        else:
            features[:, place] = _codes(series, column)
    present = features >= 0
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(present, axis=1))])
    numeric = any(column.values is None for column in columns)
    return Entries(indptr, features[present], values[present] if numeric else None)


def _series_of(frame: Any) -> list[pl.Series]:
    if isinstance(frame, pl.DataFrame):
        return frame.get_columns()
    return [_from_pandas(name, series) for name, series in frame.items()]


def _from_pandas(name: object, series: Any) -> pl.Series:
    try:
        column: pl.Series = cast("Any", pl.from_pandas(series)).alias(str(name))
    except Exception as error:  # of pyarrow or of Polars, for values of several types
        raise UserError(
            f"column {str(name)!r} of dtype {series.dtype} holds values of several "
            "types; cast it to one, such as str"
        ) from error
    return column


def _texts(series: pl.Series) -> pl.Series:
    if series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        raise UserError(
            f"column {series.name!r} of dtype {series.dtype} cannot be read as "
            "categories; cast it to strings, or leave it out"
        )
    return series.cast(pl.String)


def _codes(series: pl.Series, column: Column) -> np.ndarray:
    """Feature of each row, -1 where its value was not learned: int64[n_rows]."""
    assert column.values is not None
    if series.dtype.is_float():
        raise UserError(
            f"column {series.name!r} held categories when the estimator was fitted and "
            "holds floats now; cast it to the type it had"
        )
    known = pl.Enum(column.values.drop_nulls())
    texts = _texts(series)
    codes = texts.cast(known, strict=False).to_physical().cast(pl.Int64)
    codes = (codes + column.first).fill_null(-1)
    if column.values.null_count():
        null = column.first + len(column.values) - 1
        codes = codes.set(texts.is_null(), null)
    return codes.to_numpy()


def _numbers(series: pl.Series) -> np.ndarray:
    if not series.dtype.is_float():
        raise UserError(
            f"column {series.name!r} was a column of floats when the estimator was "
            f"fitted and is {series.dtype} now; cast it to float"
        )
    numbers = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise UserError(
            f"column {series.name!r} of floats holds {numbers[at]} in row {at}; fill "
            "it, or cast the column to integers or strings if it holds categories"
        )
    return numbers
