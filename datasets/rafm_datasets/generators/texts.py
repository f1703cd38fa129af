"""Columns of generated text, made without a loop over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ODD = 0x9E3779B1  # an odd factor permutes the 32-bit numbers, so values stay distinct
_PAIRS = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)


def hex_texts(
    value: NDArray[np.int64], key: int, missing: NDArray[np.bool_]
) -> pl.Series:
    """Write each value as 8 hexadecimal digits, distinct for distinct values.

    Parameters
    ----------
    value : int64[n]                   below 2**32
    key : int                          another one for each field
    missing : bool[n]                  null there

    Returns
    -------
    polars.Series                      String[n]
    """
    number = (value.astype(np.uint32) * np.uint32(_ODD)) ^ np.uint32(key & 0xFFFFFFFF)
    digits = _PAIRS[number.astype(">u4").view(np.uint8)]
    offsets = np.arange(len(value) + 1, dtype=np.int64) * 8
    buffers = [pa.py_buffer(offsets.data), pa.py_buffer(digits.data)]
    texts = pa.LargeStringArray.from_buffers(len(value), buffers[0], buffers[1])
    return pl.Series(texts).set(pl.Series(missing), None)


def numbers(value: NDArray[np.int64], missing: NDArray[np.bool_]) -> pl.Series:
    """Make a column of whole numbers, null where they are missing."""
    return pl.Series(pa.array(value, mask=missing))
