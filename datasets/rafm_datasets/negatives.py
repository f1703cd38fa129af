"""Seeded negatives for logs of positives: same context, a choice never made there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.columns import BadRows, Column, Parsed
from rafm_datasets.order import hash_indices, stream_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions

PER_POSITIVE = 2
_TRIES = 32  # then the free choices are listed: a user has taken almost all of them


def with_negatives(
    columns: Mapping[str, Column], choice: str, options: PrepareOptions
) -> Parsed:
    """Follow every positive row by negatives that differ in one field.

    Parameters
    ----------
    columns : mapping of Column        the positives; one value a row
    choice : str                       the field that differs, e.g. "item"
    options : PrepareOptions           its seed and purpose

    Returns
    -------
    Parsed                             labels 1, 0, 0, 1, ...; row i gives the numbers
                                       3 i, 3 i + 1, 3 i + 2; to encode, the
                                       positives alone

    Raises
    ------
    BadRows                            every choice was made in that context

    Notes
    -----
    The draw depends on the seed, the row's number and the set of positives only.
    """
    chosen = columns[choice]
    if options.purpose == "encode":
        n_positives = len(chosen.codes)
        labels = np.ones(n_positives, np.float32)
        return Parsed(labels, columns, np.arange(n_positives) * (1 + PER_POSITIVE))
    rank = _rank(chosen)
    context = _groups([c.codes for name, c in columns.items() if name != choice])
    drawn = _draw(context, rank[chosen.codes - 1], len(rank), options.seed)
    code_of_rank = np.argsort(rank).astype(np.int32) + np.int32(1)
    codes = np.column_stack([chosen.codes, code_of_rank[drawn]]).reshape(-1)
    size = 1 + PER_POSITIVE
    repeated = {
        name: column._replace(
            codes=codes if name == choice else np.repeat(column.codes, size)
        )
        for name, column in columns.items()
    }
    n_rows = len(codes)
    labels = (np.arange(n_rows) % size == 0).astype(np.float32)
    return Parsed(labels, repeated, np.arange(n_rows))


def _rank(column: Column) -> NDArray[np.int64]:
    """Give the place of each distinct value in the order of their bytes."""
    rank = np.empty(len(column.values), np.int64)
    rank[column.values.arg_sort().to_numpy()] = np.arange(len(rank))
    return rank


def _groups(columns: list[NDArray[np.int32]]) -> NDArray[np.int64]:
    """Give equal rows of several columns of codes equal numbers."""
    group = np.zeros(len(columns[0]), np.int64)
    for codes in columns:
        paired = group * (int(codes.max(initial=0)) + 1) + codes
        group = np.unique(paired, return_inverse=True)[1]
    return group


def _draw(
    context: NDArray[np.int64], chosen: NDArray[np.int64], n_choices: int, seed: int
) -> NDArray[np.int64]:
    """Draw choices never made in the same context, for each row another two."""
    taken = np.unique(context * n_choices + chosen)
    n_taken = np.bincount(taken // n_choices, minlength=int(context.max(initial=0)) + 1)
    full = np.flatnonzero(n_taken[context] + PER_POSITIVE > n_choices)
    if len(full):
        raise BadRows(
            [(row, "leaves no other choice to draw") for row in full.tolist()]
        )
    drawn = np.full((len(context), PER_POSITIVE), -1, np.int64)
    for place in range(PER_POSITIVE):
        left = np.arange(len(context))
        for attempt in range(_TRIES):
            key = stream_key(seed, "negative", place, attempt)
            tried = (hash_indices(key, left) % np.uint64(n_choices)).astype(np.int64)
            free = ~np.isin(context[left] * n_choices + tried, taken)
            free &= (drawn[left] != tried[:, None]).all(axis=1)
            drawn[left[free], place] = tried[free]
            left = left[~free]
        for row in left.tolist():
            drawn[row, place] = _one_of_few(row, context, drawn, taken, n_choices, seed)
    return drawn


def _one_of_few(
    row: int,
    context: NDArray[np.int64],
    drawn: NDArray[np.int64],
    taken: NDArray[np.int64],
    n_choices: int,
    seed: int,
) -> int:
    first = context[row] * n_choices
    low, high = np.searchsorted(taken, [first, first + n_choices])
    gone = np.concatenate([taken[low:high] - first, drawn[row]])
    free = np.setdiff1d(np.arange(n_choices), gone)
    hashed = hash_indices(stream_key(seed, "negative", "few"), np.array([row]))
    return int(free[int(hashed[0]) % len(free)])
