"""An iterator run ahead in a thread of its own, a bounded way."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

T = TypeVar("T")
_WAIT_SECONDS = 0.2


def run_ahead(items: Iterator[T], depth: int) -> Generator[T]:
    """Yield what `items` yields, computed up to `depth` items ahead.

    Parameters
    ----------
    items : iterator                   run in another thread, until the end or until
                                       this generator is closed
    depth : int                        how many items may wait

    Yields
    ------
    items                              in order; an exception of theirs is raised here
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    closed = threading.Event()

    def offer(item: T | None, error: BaseException | None) -> None:
        offered = False
        while not offered and not closed.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((item, error), timeout=_WAIT_SECONDS)
                offered = True

    def work() -> None:
        error: BaseException = StopIteration()
        try:
            for item in items:
                offer(item, None)
                if closed.is_set():
                    return
        except BaseException as raised:
            error = raised
        offer(None, error)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
