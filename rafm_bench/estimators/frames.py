"""Data frames whose columns are fields: each distinct value becomes a feature."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from rafm_bench.errors import UserError
from rafm_bench.estimators.entries import Entries, as_float32, too_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


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


def series_of(frame: Any) -> list[pl.Series]:
    """Take a frame column by column; those of pandas are converted, and may be copied.

    Raises
    ------
    UserError                          for a column with values of several types
    """
    if isinstance(frame, pl.DataFrame):
        return frame.get_columns()
    return [_from_pandas(name, series) for name, series in frame.items()]


def has_categories(frame: Sequence[pl.Series]) -> bool:
    """Tell whether any column holds something else than floats."""
    return not all(one.dtype.is_float() for one in frame)


def learn_columns(
    frame: Sequence[pl.Series], rows: NDArray[np.integer] | None
) -> tuple[Column, ...]:
    """Give the features of `rows`, or of all, their numbers.

    They go column after column, and by sorted values in each.
    """
    columns: list[Column] = []
    first = 0
    for whole in frame:
        series = whole if rows is None else whole.gather(rows)
        is_number = series.dtype.is_float()
        values = None if is_number else _texts(series).unique().sort(nulls_last=True)
        columns.append(Column(series.name, first, values))
        first += columns[-1].n_features
    return tuple(columns)


def entries_of_frame(
    frame: Sequence[pl.Series], columns: tuple[Column, ...]
) -> Entries:
    """Take the rows of a frame as entries of the features that were learned.

    A value that was not learned has no entry, nor has the float 0.
    """
    shape = (len(frame[0]), len(columns))
    features = np.empty(shape, np.int64)
    values = np.ones(shape, np.float32)
    for place, (series, column) in enumerate(zip(frame, columns, strict=True)):
        if column.values is None:
            values[:, place] = _numbers(series)
            features[:, place] = np.where(values[:, place] != 0, column.first, -1)
        else:
            features[:, place] = _codes(series, column)
    present = features >= 0
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(present, axis=1))])
    numeric = any(column.values is None for column in columns)
    return Entries(indptr, features[present], values[present] if numeric else None)


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
    """Write values as text, times alike in every unit."""
    if series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        raise UserError(
            f"column {series.name!r} of dtype {series.dtype} cannot be read as "
            "categories; cast it to strings, or leave it out"
        )
    if isinstance(series.dtype, pl.Datetime):  # cast would show the unit's digits
        zone = "%z" if series.dtype.time_zone else ""
        return series.dt.to_string(f"%Y-%m-%d %H:%M:%S%.f{zone}")
    if isinstance(series.dtype, pl.Duration):  # which cast refuses
        return series.dt.to_string("iso")
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


def _numbers(series: pl.Series) -> NDArray[np.float32]:
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
    rounded = as_float32(numbers)
    if not np.isfinite(rounded).all():
        at = int(np.flatnonzero(~np.isfinite(rounded))[0])
        raise UserError(f"column {series.name!r} {too_large(numbers[at], at)}")
    return rounded
