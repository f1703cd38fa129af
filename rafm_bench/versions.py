"""The facts that every recorded number carries: versions, platform, processor."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from rafm_bench import __version__

LIBRARIES = ("numpy", "numba", "polars", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of what computed a result, and the machine it ran on."""
    return {
        "rafm-bench": __version__,
        **_commit(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


@cache
def _commit() -> dict[str, str]:
    """Return the commit of the program where it runs from a Git checkout of its own."""
    here = Path(__file__).parent
    words = ("ls-files", "--error-unmatch", Path(__file__).name)
    if _git(here, *words) is None:
        return {}
    found = _git(here, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12")
    return {"commit": found} if found else {}


def _git(folder: Path, *words: str) -> str | None:
    """Return what Git says, None where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
