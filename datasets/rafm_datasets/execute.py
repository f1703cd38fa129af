"""Tasks run as a Dask graph, with progress, stopping at the first user's mistake."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Progress(Protocol):
    """What is told while data is prepared."""

    def __call__(self, stage: str, done: int, total: int | None, unit: str, /) -> None:
        """Take note of `done` of `total` (None: unknown) units of a stage."""


def silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """Take no note of progress."""


def run_tasks(
    tasks: Sequence[Callable[[], T]],
    workers: int,
    each_done: Callable[[T], None],
) -> list[T]:
    """Run tasks in `workers` threads as one Dask graph.

    Parameters
    ----------
    tasks : sequence of callables      without arguments; `functools.partial` does
    workers : int                      tasks at once
    each_done : callable               called with each result, in this thread

    Returns
    -------
    list                               what each returned, in order

    Raises
    ------
    DataError                          of the first task, in order, that raised one
    """
    import dask
    from dask.callbacks import Callback

    def after(_key: object, result: Any, *_: object) -> None:
        if not isinstance(result, DataError):
            each_done(result)

    graph = [dask.delayed(partial(_guarded, task))() for task in tasks]
    with Callback(posttask=after):
        results = dask.compute(*graph, scheduler="threads", num_workers=workers)
    for result in results:
        if isinstance(result, DataError):
            raise result
    return list(results)


def _guarded(task: Callable[[], T]) -> T | DataError:
    """Return a user's mistake, so that the first one is told, whoever is faster."""
    try:
        return task()
    except DataError as error:
        return error
