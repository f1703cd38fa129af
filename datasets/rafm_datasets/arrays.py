"""Work files: arrays one after another in one file, and rows in CSR order.

They are not .npy files: reading those evaluates their header as Python, which fails
now and then in CPython 3.11 when several threads do so ("AST constructor recursion
depth mismatch").
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_datasets.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray


def save_arrays(path: Path, arrays: Sequence[NDArray[Any]]) -> None:
    """Write arrays into one file, whole or not at all.

    Parameters
    ----------
    path : Path
    arrays : sequence of arrays        of any dtype but object
    """
    header = [[array.dtype.str, array.shape] for array in arrays]
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)


def load_arrays(path: Path, n_arrays: int | None = None) -> list[NDArray[Any]]:
    """Read the arrays of `save_arrays`.

    Parameters
    ----------
    path : Path
    n_arrays : int or None             only so many, from the first

    Returns
    -------
    list of arrays
    """
    with path.open("rb") as file:
        header = json.loads(file.readline())
        return [
            np.fromfile(file, dtype, math.prod(shape)).reshape(shape)
            for dtype, shape in header[:n_arrays]
        ]


def numbers_of(column: pa.ChunkedArray[Any] | pa.Array[Any]) -> NDArray[Any]:
    """Take an Arrow column of numbers as an array, not copied where it is whole.

    Unlike its `to_numpy` this does not import pandas, 40 MB of it, where that is found.

    Parameters
    ----------
    column : pyarrow array of numbers

    Returns
    -------
    array[n]                           not to be written to

    Raises
    ------
    ValueError                         the column has gaps
    """
    import pyarrow as pa

    if column.null_count:
        raise ValueError(f"{column.null_count} of its numbers are missing")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    found: NDArray[Any] = np.from_dlpack(column)
    return found


def narrow(codes: NDArray[np.integer[Any]], n_codes: int) -> NDArray[Any]:
    """Store codes below `n_codes` in the smallest of uint8, uint16 and int32."""
    if n_codes <= 1 << 8:
        return codes.astype(np.uint8)
    return codes.astype(np.uint16 if n_codes <= 1 << 16 else np.int32, copy=False)


def entries_of(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the entries of some rows of a CSR layout.

    Parameters
    ----------
    indptr : int64[n + 1]
    rows : int64[k]                    in any order

    Returns
    -------
    int64[sum of their lengths]        entry indices, row after row
    """
    lengths = indptr[rows + 1] - indptr[rows]
    ends = np.cumsum(lengths)
    entries = np.arange(ends[-1] if len(ends) else 0)
    entries += np.repeat(indptr[rows] - (ends - lengths), lengths)
    return entries
