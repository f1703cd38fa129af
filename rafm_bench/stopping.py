"""Ctrl-C and SIGTERM as a wish to stop, which the work looks at where it can stop."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rafm_bench.progress import Reporter

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The work saw the wish to stop."""


@dataclass(slots=True)
class Stop:
    """A wish to stop; `number` is that of the signal which made it, or 0."""

    number: int = 0

    def check(self) -> None:
        """Raise Stopped when the wish was made."""
        if self.number:
            raise Stopped


class Stoppable:
    """Reports to another reporter, and stops the work that reports to it."""

    def __init__(self, report: Reporter, stop: Stop) -> None:
        """Report to `report`, and look at `stop`."""
        self.report, self.stop = report, stop

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """Tell how far the work is; Stopped when it is to stop here."""
        self.report(stage, done, total, unit, note)
        self.stop.check()

    def say(self, text: str) -> None:
        """See `Reporter`."""
        self.report.say(text)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Take the first Ctrl-C or SIGTERM as a wish; a second one ends the work at once.

    A signal that the process ignores stays ignored; in a thread that is not the main
    one signals cannot be taken, and the wish is never made.
    """
    stop = Stop()
    before: dict[int, Any] = {}

    def ask(number: int, _: FrameType | None) -> None:
        stop.number = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
