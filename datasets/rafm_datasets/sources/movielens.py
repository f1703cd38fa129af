"""Source `movielens`: the ratings of any MovieLens release, a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.columns import (
    Parsed,
    encode_text,
    numbers_of,
    require,
    require_present,
    times_of,
)
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from rafm_datasets.columns import Column
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=("user", "item"),
    task="regression",
    layout="u.data (tabs), ratings.dat (::) or ratings.csv; file, folder, .zip or .gz",
    page="https://grouplens.org/datasets/movielens/",
    licence="GroupLens: research, no redistribution (ml-latest: under the same terms)",
    members=("ratings.csv", "ratings.dat", "u.data"),
    timed=True,
)
_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_HIGHEST = 5.0


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell the release from the first line, as in `Source.dialect`."""
    del options
    for separator in (b"::", b"\t"):
        if head.count(separator) == len(_COLUMNS) - 1:
            return Dialect(columns=_COLUMNS, separator=separator.decode())
    return csv_dialect(name, head, _COLUMNS, "u.data, ratings.dat or ratings.csv")


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check ratings, as in `Source.parse`."""
    del options
    frame = read_delimited(data, dialect)
    return Parsed(
        labels=star_ratings(frame["rating"]),
        columns={
            "user": whole_numbers(frame["userId"], "user"),
            "item": whole_numbers(frame["movieId"], "movie"),
        },
        numbers=np.arange(len(frame)),
        times=times_of(frame["timestamp"], "timestamp"),
    )


def star_ratings(texts: pl.Series) -> NDArray[np.float32]:
    """Read ratings, each above 0 and up to 5.

    Parameters
    ----------
    texts : polars.Series              String[n]

    Returns
    -------
    float32[n]

    Raises
    ------
    BadRows                            missing, not a number, or out of range
    """
    column = encode_text(texts)
    stars = numbers_of(column, "rating")
    numbers = column.values.cast(float)
    require(
        column,
        (numbers > 0) & (numbers <= _HIGHEST),
        lambda text: f"rating {text} is not above 0 and up to 5",
    )
    return stars.astype(np.float32)


def whole_numbers(texts: pl.Series, name: str) -> Column:
    """Encode a column of ids, each a whole number.

    Raises
    ------
    BadRows                            missing, or not a whole number
    """
    column = encode_text(texts)
    require_present(column, name)
    good = column.values.str.contains(r"^[0-9]+$")
    require(column, good, lambda text: f"{name} {text} is not a whole number")
    return column


if TYPE_CHECKING:
    import rafm_datasets.sources.movielens as _this

    _source: Source = _this
