"""A Dask cluster of processes as a user starts it: a scheduler, and workers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Processes(NamedTuple):
    """The scheduler's file, its process, and those of the workers without a nanny."""

    file: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def add_worker(self) -> None:
        """Start one more worker."""
        scratch = str(self.file.parent / "scratch")
        quiet = ("--no-dashboard", "--local-directory", scratch)
        found = ("--scheduler-file", str(self.file))
        words = ("--nthreads", "1", "--no-nanny", *quiet, *found)
        self.workers.append(_started("dask_worker", *words))


@contextlib.contextmanager
def scheduler_and_workers(folder: Path, n_workers: int) -> Iterator[Processes]:
    """Start a cluster whose scheduler's file is in `folder`; kill it in the end."""
    file = folder / "scheduler.json"
    words = ("--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    processes = Processes(file, _started("dask_scheduler", *words), [])
    try:
        for _ in range(n_workers):
            processes.add_worker()
        yield processes
    finally:
        for process in (*processes.workers, processes.scheduler):
            process.kill()
            process.wait()


def _started(module: str, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
