"""Arrays in files that are mapped into memory: for models larger than memory."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.staging import filling
from rafm_kernels import plain_zeros

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

LEAST_BYTES = 1 << 16
"""Smaller arrays are no files."""


class MappedArrays:
    """Allocates arrays of zeros as files of a folder, see `rafm_kernels.Allocate`.

    The files are what training writes to, not a checkpoint: what they hold after a
    crash is any mixture of states. Their disk space is taken at once, so that a full
    disk is an error here and no signal in the middle of a step.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, n: int, dtype: DTypeLike) -> NDArray[np.generic]:
        """Make the file of an array anew.

        Raises
        ------
        RunError                      when the disk has no room for it
        """
        n_bytes = n * np.dtype(dtype).itemsize
        if n_bytes < LEAST_BYTES:
            return plain_zeros(name, n, dtype)
        file = self.folder / f"{name}.mapped"
        file.unlink(missing_ok=True)
        with filling(file), file.open("x+b") as opened:
            if hasattr(os, "posix_fallocate"):  # else a full disk shows later
                os.posix_fallocate(opened.fileno(), 0, n_bytes)
            opened.truncate(n_bytes)
            mapped = mmap.mmap(opened.fileno(), n_bytes)
        # A row is all that is wanted of a page's neighbourhood. Reading ahead would
        # push out the hot rows.
        mapped.madvise(mmap.MADV_RANDOM)
        return np.frombuffer(mapped, dtype, n)
