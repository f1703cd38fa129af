"""Counter-based random numbers: a hash of (seed, index), the same everywhere.

A NumPy ``Generator`` gives numbers in sequence; here the i-th number is wanted
without the ones before it, on any worker, in any order.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def stream_key(seed: int, *purpose: str | int) -> int:
    """Derive the 64-bit key of one independent stream of random numbers.

    Parameters
    ----------
    seed : int                         the user's seed, any integer
    purpose : str or int               what the numbers are for, e.g. ("epoch", 3)

    Returns
    -------
    int                                in [0, 2**64)
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def hash_indices(key: int, indices: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Hash each index to a uniform 64-bit number.

    Parameters
    ----------
    key : int                          of `stream_key`
    indices : integer[n]               counters, e.g. row numbers; not negative

    Returns
    -------
    uint64[n]                          new array; equal inputs give equal numbers

    References
    ----------
    SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): state key + (index + 1) * golden.
    """
    z = indices.astype(np.uint64)
    z *= np.uint64(_GOLDEN)
    z += np.uint64((key + _GOLDEN) & _MASK)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z


def permutation(key: int, n: int) -> NDArray[np.int64]:
    """Draw a permutation of range(n).

    Parameters
    ----------
    key : int                          of `stream_key`
    n : int                            how many; below 2**32

    Returns
    -------
    int64[n]                           new array

    Notes
    -----
    The index fills the low bits of the hash, so the sort keys are distinct and the
    result does not depend on the sorting algorithm; sorting values is also several
    times faster than an argsort.
    """
    bits = np.uint64(max(n - 1, 0).bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    index = np.arange(n, dtype=np.uint64)
    keys = (hash_indices(key, index) & ~low) | index
    keys.sort()
    return (keys & low).astype(np.int64)
