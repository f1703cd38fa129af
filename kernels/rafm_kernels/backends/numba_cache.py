"""Compiled code kept on disk, until any of the files that it was made from changes."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from importlib import resources
from typing import Any, TypeVar

from numba import njit

_NO_FOLDER = "Numba found no folder for it"

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
    sources may have named them otherwise. Where a release of Numba keeps them in
    another way, or no folder can be written to, nothing is kept, with a warning.
    """
    compiled: Function
    try:
        compiled = njit(cache=True, **FLAGS)(function)
        _stamp(compiled)
    except (AttributeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "no locator" not in str(error):
            raise
        _warn_once(str(error) if isinstance(error, AttributeError) else _NO_FOLDER)
        compiled = njit(**FLAGS)(function)
    return compiled


def _stamp(dispatcher: Any) -> None:
    """Tie what is kept on disk to all sources."""
    kept, stamp = dispatcher._cache._cache_file, _source_hash()
    if not (hasattr(kept, "_source_stamp") and hasattr(kept, "_version")):
        raise AttributeError("the cache of this release of Numba has no stamp")
    kept._source_stamp = stamp
    kept._version += f" {stamp.hex()}"


@functools.cache
def _warn_once(reason: str) -> None:
    warnings.warn(
        f"compiled code is not kept on disk, so every process compiles anew: {reason}; "
        "set NUMBA_CACHE_DIR to a folder that can be written to, or install a release "
        "of Numba that keeps it as this program knows",
        RuntimeWarning,
        stacklevel=3,
    )
