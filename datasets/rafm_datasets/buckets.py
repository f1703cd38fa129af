"""Numbers as categories, each a bucket with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT = 1 << 53  # whole numbers up to here are exact as floats


def by_log(numbers: pl.Series) -> pl.Series:
    """Give floor(log(x)^2) above 2, as is usual for Criteo; up to 2, floor(x).

    Parameters
    ----------
    numbers : polars.Series            Int64[n] or Float64[n], without null

    Returns
    -------
    polars.Series                      String[n]
    """
    log = numbers.clip(lower_bound=1).cast(pl.Float64).log()
    bucket = (log * log).floor().cast(pl.Int64)
    small = numbers.clip(-_EXACT, 2).floor().cast(pl.Int64)
    return bucket.zip_with(numbers > 2, small).cast(pl.String)


def by_width(numbers: pl.Series, width: float) -> pl.Series:
    """Give the lower end of buckets [k width, (k + 1) width).

    Parameters
    ----------
    numbers : polars.Series            Float64[n], without null
    width : float                      above 0

    Returns
    -------
    polars.Series                      String[n], to 12 digits
    """
    steps, place = np.unique(np.floor(numbers.to_numpy() / width), return_inverse=True)
    names = pl.Series([f"{step * width + 0.0:.12g}" for step in steps], dtype=pl.String)
    return names.gather(place)


def by_edges(numbers: pl.Series, edges: Sequence[float]) -> pl.Series:
    """Give the highest edge that is not above the number, or "<" and the first edge.

    Parameters
    ----------
    numbers : polars.Series            Float64[n], without null
    edges : sequence of float          rising

    Returns
    -------
    polars.Series                      String[n]
    """
    names = [f"<{edges[0]:.12g}", *(f"{edge:.12g}" for edge in edges)]
    place = np.searchsorted(np.array(edges), numbers.to_numpy(), side="right")
    return pl.Series(names, dtype=pl.String).gather(place)
