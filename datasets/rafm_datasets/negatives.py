"""Seeded negatives for logs of positives: same context, a choice never made there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_datasets.columns import Column, Parsed
from rafm_datasets.order import hash_indices, stream_key
from rafm_datasets.positives import context_hashes, pair_hashes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from rafm_datasets.positives import Positives

PER_POSITIVE = 2
NO_CHOICE = "leaves no other choice to draw"
_TRIES = 32  # then the free choices are listed: a user has taken almost all of them


class Drawn(NamedTuple):
    """Positives with their negatives, and the positives that no negative exists for."""

    parsed: Parsed
    full: NDArray[np.int64]  # rows of the positives; they are left out of `parsed`


def with_negatives(
    positives: Parsed, choice: str, known: Positives, seed: int
) -> Drawn:
    """Follow every positive row by negatives that differ in one field.

    Parameters
    ----------
    positives : Parsed                 one value a row
    choice : str                       the field that differs, e.g. "item"
    known : Positives                  of the whole log
    seed : int

    Returns
    -------
    Drawn                              labels 1, 0, 0, 1, ...; row number i gives the
                                       numbers 3 i, 3 i + 1, 3 i + 2

    Notes
    -----
    The draw depends on the seed, the row's number and the set of positives only.
    """
    contexts = context_hashes(positives.columns, choice)
    drawn = _draw(contexts, positives.numbers, known, seed)
    is_full = (drawn < 0).any(axis=1)
    rows = np.flatnonzero(~is_full)
    size = 1 + PER_POSITIVE
    columns = {
        name: column._replace(codes=np.repeat(column.codes[rows], size))
        for name, column in positives.columns.items()
    }
    columns[choice] = _choices(positives.columns[choice], rows, drawn[rows], known)
    times = positives.times
    numbers = positives.numbers[rows]
    parsed = Parsed(
        (np.arange(len(rows) * size) % size == 0).astype(np.float32),
        columns,
        (numbers[:, None] * size + np.arange(size)).reshape(-1),
        None if times is None else np.repeat(times[rows], size),
    )
    return Drawn(parsed, np.flatnonzero(is_full))


def _choices(
    chosen: Column,
    rows: NDArray[np.int64],
    drawn: NDArray[np.int64],
    known: Positives,
) -> Column:
    """Make the column of each row's own choice and those drawn for it."""
    own = _places(chosen.values, known.choices)[chosen.codes[rows] - 1]
    used, codes = np.unique(np.column_stack([own, drawn]), return_inverse=True)
    return Column(
        codes.reshape(-1).astype(np.int32) + np.int32(1), known.choices.gather(used)
    )


def _places(values: pl.Series, sorted_texts: pl.Series) -> NDArray[np.int64]:
    """Find where each value stands in sorted texts that have it."""
    found = sorted_texts.set_sorted().search_sorted(values, "left")
    return found.to_numpy().astype(np.int64)


def _draw(
    contexts: NDArray[np.uint64],
    numbers: NDArray[np.int64],
    known: Positives,
    seed: int,
) -> NDArray[np.int64]:
    """Draw choices never made in the same context, for each row another two.

    A row for which there are not as many has -1.
    """
    n_choices = len(known.choices)
    drawn = np.full((len(contexts), PER_POSITIVE), -1, np.int64)
    for place in range(PER_POSITIVE):
        left = np.arange(len(contexts))
        for attempt in range(_TRIES):
            key = stream_key(seed, "negative", place, attempt)
            hashed = hash_indices(key, numbers[left])
            tried = (hashed % np.uint64(n_choices)).astype(np.int64)
            free = ~known.has(pair_hashes(contexts[left], known.hashes[tried]))
            free &= (drawn[left] != tried[:, None]).all(axis=1)
            drawn[left[free], place] = tried[free]
            left = left[~free]
        for row in left.tolist():
            free = ~known.has(pair_hashes(contexts[row : row + 1], known.hashes))
            free[drawn[row][drawn[row] >= 0]] = False
            drawn[row, place] = _one_of_few(free, numbers[row], seed)
    return drawn


def _one_of_few(free: NDArray[np.bool_], number: np.int64, seed: int) -> int:
    choices = np.flatnonzero(free)
    hashed = hash_indices(stream_key(seed, "negative", "few"), np.array([number]))
    return int(choices[int(hashed[0]) % len(choices)]) if len(choices) else -1
