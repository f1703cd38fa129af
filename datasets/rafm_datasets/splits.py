"""Which split a row belongs to, and its place in it: functions of its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.order import hash_indices, stream_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions


def row_order(split: str, options: PrepareOptions) -> Literal["mixed", "raw", "time"]:
    """Tell whether rows of a split are "mixed", by "time", or keep their "raw" order.

    Given validation and test files keep it, so that predictions can be set beside
    the rows they are for.
    """
    if options.split == "time":
        return "time"
    return "mixed" if options.split == "random" or split == "train" else "raw"


def place_keys(
    numbers: NDArray[np.int64], split: str, options: PrepareOptions
) -> NDArray[np.uint64]:
    """Give the key that the rows of a split are sorted by.

    Parameters
    ----------
    numbers : int64[n]                 row numbers
    split : str
    options : PrepareOptions

    Returns
    -------
    uint64[n]                          a hash of the number, or the number itself
    """
    if row_order(split, options) == "raw":
        return numbers.astype(np.uint64)
    return hash_indices(stream_key(options.seed, "place"), numbers)


def arrange(
    numbers: NDArray[np.int64], given: str | None, options: PrepareOptions
) -> tuple[NDArray[np.int64], list[int]]:
    """Order rows by split, then by key.

    Parameters
    ----------
    numbers : int64[n]                 row numbers
    given : str or None                the split of all of them, when it is given
    options : PrepareOptions

    Returns
    -------
    int64[n], list of int              rows in that order; where each split ends
    """
    split_of = _assign(numbers, given, options)
    order: list[NDArray[np.int64]] = []
    ends: list[int] = []
    for index, split in enumerate(SPLIT_NAMES):
        rows = np.flatnonzero(split_of == index)
        keys = place_keys(numbers[rows], split, options)
        order.append(rows[np.argsort(keys, kind="stable")])
        ends.append(len(rows) + (ends[-1] if ends else 0))
    return np.concatenate(order), ends


def _assign(
    numbers: NDArray[np.int64], given: str | None, options: PrepareOptions
) -> NDArray[np.int8]:
    if given is not None:
        return np.full(len(numbers), SPLIT_NAMES.index(given), np.int8)
    hashed = hash_indices(stream_key(options.seed, "split"), numbers)
    uniform = (hashed >> np.uint64(11)) * 2.0**-53
    train, _, test = options.split_fractions
    split_of = (uniform >= train).astype(np.int8)
    split_of += uniform >= max(train, 1 - test)
    return split_of
