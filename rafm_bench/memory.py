"""Peak memory of this process: since it began, or since it was last forgotten."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak_memory() -> None:
    """Begin to measure anew, where the system can (Linux): earlier work is no part."""
    with contextlib.suppress(OSError):
        FORGET.write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Return the largest resident size so far, in bytes.

    On Linux this is VmHWM: `ru_maxrss` survives exec, so it may be a parent's peak.
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
