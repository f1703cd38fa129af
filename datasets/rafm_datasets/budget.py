"""How much memory a run may use, and what follows from it for the size of its tasks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.pools import Pool

_MIB = 1 << 20
BASE_BYTES = 256 * _MIB  # of a process before its first task: libraries, measured
MIN_LIMIT = 640 * _MIB
MIN_TASK_BYTES = 32 * _MIB
CHUNK_BYTES = (1 * _MIB, 64 * _MIB)
MEMORY_PER_BYTE = 8  # of a chunk's text, at the peak of its parsing, measured


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes all tasks, or one of `n_tasks`, may use; length of a chunk of raw text."""

    tasks_bytes: int
    task_bytes: int
    chunk_bytes: int


def make_budget(options: PrepareOptions, pool: Pool) -> Budget:
    """Share the memory limit among the tasks that run at once.

    Parameters
    ----------
    options : PrepareOptions           its memory_limit
    pool : Pool                        where they run

    Returns
    -------
    Budget

    Raises
    ------
    DataError                          a limit below what the program itself needs
    """
    limit = _limit(options)
    left = limit - BASE_BYTES * (1 + pool.n_processes)
    task = left // pool.size
    if task < MIN_TASK_BYTES:
        needed = limit - left + MIN_TASK_BYTES * pool.size
        raise DataError(
            f"a memory limit of {limit // _MIB} MiB is too small for {pool.size} tasks "
            f"at once; give {needed // _MIB} MiB or more, or fewer threads or workers"
        )
    low, high = CHUNK_BYTES
    chunk = min(max(task // MEMORY_PER_BYTE, low), high)
    return Budget(left, task, chunk)


def default_threads(options: PrepareOptions) -> int:
    """Give as many threads as there are cores, if the memory limit allows them."""
    most = (_limit(options) - BASE_BYTES) // MIN_TASK_BYTES
    return min(len(os.sched_getaffinity(0)), most)


def _limit(options: PrepareOptions) -> int:
    limit = options.memory_limit
    if limit is None:
        limit = default_limit()
    if limit < MIN_LIMIT:
        raise DataError(
            f"a memory limit of {limit // _MIB} MiB is too small to work in; "
            f"give {MIN_LIMIT // _MIB} MiB or more"
        )
    return limit


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
