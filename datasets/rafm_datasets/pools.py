"""Where tasks run: threads of this process, processes of their own, a Dask cluster."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from rafm_datasets.budget import default_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from rafm_datasets.options import PrepareOptions

T = TypeVar("T")


class Pool(Protocol):
    """Runs tasks; what they read and write are files that all of them see."""

    @property
    def size(self) -> int:
        """How many tasks run at once."""

    @property
    def n_processes(self) -> int:
        """In how many processes besides this one."""

    def check(self, folder: Path, raw: Sequence[str]) -> None:
        """See that tasks can run with these files.

        Parameters
        ----------
        folder : Path                  of the work files
        raw : sequence of str          paths of local raw files

        Raises
        ------
        DataError                      a worker that does not see them, or runs other
                                       versions than this process
        """

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Begin a task when there is room for it."""

    def result(self, future: Future[T]) -> T:
        """Give what a task that is over returned, or raise what it raised.

        Raises
        ------
        ChildProcessError              the task was given up, for its workers died
        """


@contextlib.contextmanager
def open_pool(options: PrepareOptions) -> Iterator[Pool]:
    """Open the pool that the options ask for.

    Parameters
    ----------
    options : PrepareOptions           its threads, workers or scheduler

    Yields
    ------
    Pool                               closed at the end; tasks that run are waited for

    Raises
    ------
    DataError                          no scheduler at that address
    """
    if options.workers is None and options.scheduler is None:
        with _Threads(options.threads or default_threads(options)) as pool:
            yield pool
        return
    from rafm_datasets import cluster

    if options.workers is not None:
        opened = cluster.local(options.workers)
    else:
        opened = cluster.running(str(options.scheduler))
    with opened as pool:
        yield pool


class _Threads:
    """Threads of this process."""

    def __init__(self, size: int) -> None:
        self.size, self.n_processes = size, 0
        self._executor = ThreadPoolExecutor(size, "prepare")

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def check(self, folder: Path, raw: Sequence[str]) -> None:
        """Threads see what this process sees."""

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """As in `Pool.submit`."""
        return self._executor.submit(task)

    def result(self, future: Future[T]) -> T:
        """As in `Pool.result`."""
        return future.result()
