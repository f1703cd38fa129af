"""Compiled code kept on disk, until any of the files that it was made from changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Spelled out, without nnan and ninf: a NaN must stay visible.
FLAGS: dict[str, Any] = {
    "fastmath": {"contract", "nsz"},
    "nogil": True,
    "error_model": "numpy",
}

# For functions that compiled code calls. They become part of it (a call would pass each
# array as seven words), and count no references: that took half of a step's time, since
# each access to an array of a tuple counts one up and down. They cannot make arrays.
jit = njit(forceinline=True, _nrt=False, **FLAGS)
# For functions that make the arrays which those others work in.
allocating_jit = njit(**FLAGS)


def _source_hash() -> bytes:
    """Hash the backends, and what lies above them: tuples that they take."""
    digest = hashlib.sha256()
    for package in ("rafm_kernels", "rafm_kernels.backends"):
        sources = resources.files(package).iterdir()
        for file in sorted(sources, key=lambda file: file.name):
            if file.name.endswith(".py"):
                digest.update(file.read_bytes())
    return digest.digest()


def cached_jit(function: Function) -> Function:
    """Compile a function that Python calls, once for all processes.

    Numba looks at the file of the function alone: an edit of what it calls in another
    file would go on running the old code. The stamp here covers every file; it is part
    of the version too, which is compared before the types in an index are read: other
    sources may have named them otherwise.
    """
    dispatcher = njit(cache=True, **FLAGS)(function)
    kept, stamp = dispatcher._cache._cache_file, _source_hash()
    kept._source_stamp = stamp
    kept._version += f" {stamp.hex()}"
    compiled: Function = dispatcher
    return compiled
