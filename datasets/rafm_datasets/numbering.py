"""Ids by descending count, without ever sorting all features in one place.

It is a counting sort. Each range of values gives a histogram of its counts; from all
of them follows, for every range and every count, the first id of the values with that
count. The ids within follow from the order of the values, which is sorted already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.arrays import load_arrays
from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.vocabulary import Range

MAX_FEATURES = 2**31 - 1
_NULL, _RARE, _VALUES = 0, 1, 2  # order of equal counts within a field


@dataclass(frozen=True, slots=True)
class RangeIds:
    """First id for each count that is kept in a range, by ascending count."""

    part: Range
    counts: NDArray[np.int64]
    bases: NDArray[np.int64]
    rare_id: int


@dataclass(frozen=True, slots=True)
class Numbering:
    """Ids of all features: of each range, and of the reserved ones of each field."""

    n_features: int
    null_ids: tuple[int, ...]
    rare_ids: tuple[int, ...]
    n_values: tuple[int, ...]
    ranges: tuple[RangeIds, ...]


def number_features(
    ranges: Sequence[Range],
    nulls: Sequence[int],
    least: Sequence[int],
    folder: Path,
    options: PrepareOptions,
) -> Numbering:
    """Give the first id of every (range, count) and the reserved ids.

    Parameters
    ----------
    ranges : sequence of Range         merged, by field and value
    nulls : sequence of int            how often each field is missing, in the splits
                                       that count
    least : sequence of int            for each field: a count below it is rare
    folder : Path                      of the work files
    options : PrepareOptions

    Returns
    -------
    Numbering

    Raises
    ------
    DataError                          more features than an int32 can name
    """
    n_fields = len(nulls)
    rare = np.zeros(n_fields, np.int64)
    n_values = np.zeros(n_fields, np.int64)
    kept, rows = [], []
    for number, part in enumerate(ranges):
        counts, numbers = _histogram(part, folder, options)
        keep = counts >= least[part.field]
        rare[part.field] += counts[~keep] @ numbers[~keep]
        n_values[part.field] += numbers[keep].sum()
        kept.append(counts[keep])
        rows.append(_rows(counts[keep], numbers[keep], part.field, _VALUES + number))
    ones = np.ones(n_fields, np.int64)
    fields = np.arange(n_fields)
    for place, counts in ((_RARE, rare), (_NULL, np.asarray(nulls, np.int64))):
        rows.insert(0, _rows(counts, ones, fields, place))
    firsts, n_features = _first_ids(np.concatenate(rows))
    null_ids, rare_ids, *bases = np.split(
        firsts, np.cumsum([n_fields, n_fields, *map(len, kept)])[:-1]
    )
    if n_features > MAX_FEATURES:
        raise DataError(
            f"the data has {n_features} features, more than {MAX_FEATURES} ids can "
            "name; give a higher --min-count"
        )
    return Numbering(
        n_features,
        tuple(null_ids.tolist()),
        tuple(rare_ids.tolist()),
        tuple(n_values.tolist()),
        tuple(
            RangeIds(part, counts, base, int(rare_ids[part.field]))
            for part, counts, base in zip(ranges, kept, bases, strict=True)
        ),
    )


def _histogram(
    part: Range, folder: Path, options: PrepareOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, *histograms = load_arrays(part.path(folder, "histogram"))
    counts, numbers = (
        histograms[:2] if options.count_splits == "train" else histograms[2:]
    )
    return counts, numbers


def _rows(
    counts: NDArray[np.int64],
    numbers: NDArray[np.int64],
    field: NDArray[np.int64] | int,
    place: int,
) -> NDArray[np.int64]:
    """Lay out rows of (count, how many features, field, place within the field)."""
    table = np.empty((len(counts), 4), np.int64)
    for column, content in enumerate((counts, numbers, field, place)):
        table[:, column] = content
    return table


def _first_ids(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Sum up how many features come before each row of the table."""
    count, number, field, place = table.T
    order = np.lexsort((place, field, -count))
    ends = np.cumsum(number[order])
    firsts = np.empty(len(table), np.int64)
    firsts[order] = ends - number[order]
    return firsts, int(ends[-1]) if len(ends) else 0
