"""Peak memory of this process: since it began, or since it was last forgotten."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak_memory() -> None:
    """Begin to measure anew, where the system can (Linux): earlier work is no part."""
    with contextlib.suppress(OSError):
        FORGET.write_text("5", encoding="ascii")


def give_back_memory() -> None:
    """Return what is free in the process to the system, where it can (glibc)."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def memory_bytes() -> int:
    """Return the resident size of this process now, or without /proc its peak."""
    if STATUS.exists():
        return _status("VmRSS:")
    return peak_memory_bytes()


def peak_memory_bytes() -> int:
    """Return the largest resident size so far, in bytes.

    On Linux this is VmHWM: `ru_maxrss` survives exec, so it may be a parent's peak.
    """
    if STATUS.exists():
        return _status("VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(key: str) -> int:
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise LookupError(f"{STATUS} has no line {key}")
