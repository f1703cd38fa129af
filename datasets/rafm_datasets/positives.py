"""All positives of a log, as hashes on disk: was a choice made in a context.

A log of positives is read in chunks. Each leaves its distinct choices and the hashes of
its (context, choice) pairs, sorted; these are merged range by range, so that the whole
is never in memory, and looked up in a mapped file. Two pairs with one hash, once in
2^64, would only bar a choice that might have been drawn. Distinct choices are held in
memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.files import replacing
from rafm_datasets.order import hash_indices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.columns import Column

_MERGE_BYTES = 24  # of memory for each pair of a range while it is merged
_NONE = np.empty(0, np.uint64)
_CHOICES, _PAIRS = "positives.choices", "positives.pairs"


@dataclass(frozen=True, slots=True)
class Positives:
    """Distinct choices in the order of their bytes, their hashes, and all pairs."""

    choices: pl.Series
    hashes: NDArray[np.uint64]
    pairs: NDArray[np.uint64]

    def has(self, pairs: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which pairs are among the positives.

        Parameters
        ----------
        pairs : uint64[n]              of `pair_hashes`

        Returns
        -------
        bool[n]
        """
        place = np.searchsorted(self.pairs, pairs)
        place[place == len(self.pairs)] = 0
        found: NDArray[np.bool_] = self.pairs[place] == pairs
        return found


def context_hashes(columns: Mapping[str, Column], choice: str) -> NDArray[np.uint64]:
    """Hash the values of each row in all fields but one.

    Parameters
    ----------
    columns : mapping of Column        one value a row
    choice : str                       the field to leave out

    Returns
    -------
    uint64[n]
    """
    context = np.zeros(len(columns[choice].codes), np.uint64)
    for name in sorted(columns):
        if name != choice:
            column = columns[name]
            of_code = np.concatenate([np.zeros(1, np.uint64), _hashes(column.values)])
            context = hash_indices(1, context ^ of_code[column.codes])
    return context


def pair_hashes(
    contexts: NDArray[np.uint64], choices: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Hash pairs of a context and a choice, each given by its hash."""
    return hash_indices(2, contexts ^ choices)


def positives_of(columns: Mapping[str, Column], choice: str) -> Positives:
    """Collect the positives of one chunk.

    Parameters
    ----------
    columns : mapping of Column        one value a row, that of `choice` not missing
    choice : str                       field that says what was chosen

    Returns
    -------
    Positives
    """
    chosen = columns[choice]
    hashes = _hashes(chosen.values)
    pairs = pair_hashes(context_hashes(columns, choice), hashes[chosen.codes - 1])
    order = chosen.values.arg_sort()
    return Positives(
        chosen.values.gather(order), hashes[order.to_numpy()], _distinct(pairs)
    )


def hold_positives(positives: Positives, number: int, folder: Path) -> None:
    """Write the positives of chunk `number` for `merge_positives`."""
    with replacing(folder / f"{number:06d}.choices") as temporary:
        positives.choices.to_frame("choice").write_ipc(temporary)
    with replacing(folder / f"{number:06d}.pairs") as temporary:
        temporary.write_bytes(positives.pairs.data)


def merge_positives(numbers: Sequence[int], folder: Path, memory: int) -> None:
    """Make one set of the positives of all chunks; does nothing where it is made.

    Parameters
    ----------
    numbers : sequence of int          of the chunks
    folder : Path                      of the work files
    memory : int                       bytes it may use, the distinct choices apart
    """
    if (folder / _PAIRS).exists():
        return
    choices = pl.Series("choice", [], dtype=pl.String)
    for number in numbers:
        more = pl.read_ipc(folder / f"{number:06d}.choices")
        choices = pl.concat([choices, more["choice"]]).unique()
    with replacing(folder / _CHOICES) as temporary:
        choices.sort().to_frame("choice").write_ipc(temporary)
    paths = [folder / f"{number:06d}.pairs" for number in numbers]
    n_pairs = sum(path.stat().st_size for path in paths) // 8
    n_ranges = n_pairs * _MERGE_BYTES // memory + 1
    with replacing(folder / _PAIRS) as temporary, temporary.open("wb") as file:
        for part in range(n_ranges):
            low, high = ((part + i << 64) // n_ranges for i in (0, 1))
            pieces = [_between(path, low, high) for path in paths]
            file.write(_distinct(np.concatenate([_NONE, *pieces])).data)
    for path in paths:
        path.unlink()


def load_positives(folder: Path) -> Positives:
    """Open what `merge_positives` made; the pairs are mapped, not read."""
    choices = pl.read_ipc(folder / _CHOICES)["choice"]
    return Positives(choices, _hashes(choices), _mapped(folder / _PAIRS))


def _distinct(pairs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sort pairs, each once; several times as fast here as `np.unique`."""
    pairs = np.sort(pairs)
    first = np.ones(len(pairs), np.bool_)
    first[1:] = pairs[1:] != pairs[:-1]
    return pairs[first]


def _between(path: Path, low: int, high: int) -> NDArray[np.uint64]:
    pairs = _mapped(path)
    start = np.searchsorted(pairs, np.uint64(low))
    stop = len(pairs) if high >> 64 else np.searchsorted(pairs, np.uint64(high))
    return np.array(pairs[start:stop])


def _mapped(path: Path) -> NDArray[np.uint64]:
    if not path.stat().st_size:
        return _NONE
    return np.memmap(path, np.uint64, "r")


def _hashes(values: pl.Series) -> NDArray[np.uint64]:
    """Hash texts, the same way on every machine."""
    digests = (
        hashlib.blake2b(text.encode(), digest_size=8).digest()
        for text in values.to_list()
    )
    return np.frombuffer(b"".join(digests), np.uint64)
