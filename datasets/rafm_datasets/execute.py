"""Tasks run in a pool, a bounded number at once, until a user's mistake is met."""

from __future__ import annotations

import sys
from concurrent.futures import FIRST_COMPLETED, wait
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from rafm_datasets.pools import Pool

T = TypeVar("T")
_WAITING = 2  # tasks handed over for each that can run, so that none waits for work


class Progress(Protocol):
    """What is told while data is prepared."""

    def __call__(self, stage: str, done: int, total: int | None, unit: str, /) -> None:
        """Take note of `done` of `total` (None: unknown) units of a stage."""


def silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """Take no note of progress."""


def run_tasks(
    tasks: Iterable[Callable[[], T]],
    pool: Pool,
    each_done: Callable[[int, T], None],
    at_once: int | None = None,
) -> list[T]:
    """Run tasks in a pool; they are taken as there is room for them.

    A task may run twice, or once more after it is done, when a worker of the pool is
    lost: it must leave the same files behind then.

    Parameters
    ----------
    tasks : iterable of callables      without arguments; `functools.partial` does
    pool : Pool
    each_done : callable               called in this thread with the number of each
                                       task that is done, from 0, and its result
    at_once : int or None              no more tasks than that, for want of memory

    Returns
    -------
    list                               what each returned, in order

    Raises
    ------
    DataError                          of the first task, in order, that raised one;
                                       that of `tasks` itself counts as the next task
    """
    running: dict[Future[T | DataError], int] = {}
    results: dict[int, T] = {}
    errors: dict[int, DataError] = {}
    most = min(_WAITING * pool.size, at_once or sys.maxsize)
    rest = enumerate(_until_refused(tasks))
    try:
        more = True
        while more or running:
            while more and len(running) < most:
                number, task = next(rest, (-1, None))
                more = task is not None
                if isinstance(task, DataError):
                    errors[number] = task
                elif task is not None:
                    running[pool.submit(partial(_guarded, task))] = number
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, result = running.pop(future), pool.result(future)
                if isinstance(result, DataError):
                    errors[number] = result
                else:
                    results[number] = result
                    each_done(number, result)
            more = more and not errors
    finally:
        for future in running:
            future.cancel()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(results))]


def _until_refused(
    tasks: Iterable[Callable[[], T]],
) -> Iterable[Callable[[], T] | DataError]:
    """Yield a mistake that is met while the tasks are made as the last one of them."""
    try:
        yield from tasks
    except DataError as error:
        yield error


def _guarded(task: Callable[[], T]) -> T | DataError:
    """Return a user's mistake, so that the first one is told, whoever is faster."""
    try:
        return task()
    except DataError as error:
        return error
