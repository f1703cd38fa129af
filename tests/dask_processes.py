"""A Dask cluster of processes as a user starts it: a scheduler, and workers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Place(NamedTuple):
    """Where a process runs: the words before its command, and the address it has."""

    before: tuple[str, ...] = ()
    address: str = "127.0.0.1"

    def start(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a module of Python there, as a process that prints nothing."""
        command = [*self.before, sys.executable, "-m", module, *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


class Processes(NamedTuple):
    """The scheduler's file, its process, and those of the workers without a nanny."""

    file: Path
    place: Callable[[], Place]
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def add_worker(self) -> None:
        """Start one more worker."""
        scratch = str(self.file.parent / "scratch")
        quiet = ("--no-dashboard", "--local-directory", scratch)
        found = ("--scheduler-file", str(self.file))
        place = self.place()
        words = ("--nthreads", "1", "--no-nanny", "--host", place.address)
        module = "distributed.cli.dask_worker"
        self.workers.append(place.start(module, *words, *quiet, *found))


@contextlib.contextmanager
def scheduler_and_workers(
    folder: Path, n_workers: int, place: Callable[[], Place] = Place
) -> Iterator[Processes]:
    """Start a cluster whose scheduler's file is in `folder`; kill it in the end.

    `place` is asked where each process is to be: the scheduler first.
    """
    file, where = folder / "scheduler.json", place()
    words = ("--host", where.address, "--port", "0", "--no-dashboard")
    module = "distributed.cli.dask_scheduler"
    scheduler = where.start(module, *words, "--scheduler-file", str(file))
    processes = Processes(file, place, scheduler, [])
    try:
        for _ in range(n_workers):
            processes.add_worker()
        yield processes
    finally:
        for process in (*processes.workers, processes.scheduler):
            process.kill()
            process.wait()
