"""The facts that every recorded number carries: versions, platform, processor."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from rafm_bench import __version__

LIBRARIES = ("numpy", "numba", "polars", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of what computed a result, and the machine it ran on."""
    return {
        "rafm-bench": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "processor": _processor(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
