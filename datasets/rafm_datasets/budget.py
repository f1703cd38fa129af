"""How much memory a run may use, and what follows from it for the size of its tasks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions

_MIB = 1 << 20
BASE_BYTES = 320 * _MIB  # interpreter and libraries, measured
MIN_LIMIT = 512 * _MIB
CHUNK_BYTES = (1 * _MIB, 64 * _MIB)
MEMORY_PER_BYTE = 8  # of a chunk's text, at the peak of its parsing, measured


@dataclass(frozen=True, slots=True)
class Budget:
    """Workers, bytes a task may use, and the length of a chunk of raw text."""

    workers: int
    task_bytes: int
    chunk_bytes: int


def make_budget(options: PrepareOptions) -> Budget:
    """Share the memory limit among the workers.

    Parameters
    ----------
    options : PrepareOptions           its memory_limit and workers

    Returns
    -------
    Budget

    Raises
    ------
    DataError                          a limit below what the program itself needs
    """
    limit = options.memory_limit or default_limit()
    if limit < MIN_LIMIT:
        raise DataError(
            f"a memory limit of {limit // _MIB} MiB is too small to work in; "
            f"give {MIN_LIMIT // _MIB} MiB or more"
        )
    workers = options.workers or len(os.sched_getaffinity(0))
    task = max((limit - BASE_BYTES) // workers, 16 * _MIB)
    low, high = CHUNK_BYTES
    chunk = min(max(task // MEMORY_PER_BYTE, low), high)
    return Budget(workers, task, chunk)


def default_limit() -> int:
    """Give half of the machine's or container's memory.

    Returns
    -------
    int                                bytes
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        container = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no cgroup, or "max"
        container = machine
    return max(min(machine, container) // 2, MIN_LIMIT)
