"""Progress on stderr: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, Task

SECONDS_BETWEEN_LINES = 10.0


class Reporter(Protocol):
    """What long work tells of itself: how far it is, and remarks that stay."""

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """Tell that `done` of `total` units of `stage` are done."""
        ...

    def say(self, text: str) -> None:
        """Print a remark on a line of its own."""
        ...


@contextmanager
def reporter(stream: TextIO | None = None) -> Iterator[Reporter]:
    """Give the reporter that suits `stream` (stderr when None)."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield LineReporter(stream)
        return
    bars = _bars(stream)
    with bars:
        yield BarReporter(bars)


class Silent:
    """Tells nothing: for work too short to report."""

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """See `Reporter`."""

    def say(self, text: str) -> None:
        """See `Reporter`."""


class LineReporter:
    """Prints a line every ten seconds while a stage lasts."""

    def __init__(self, stream: TextIO) -> None:
        """Print on `stream`."""
        self.stream = stream
        self.stage = ""
        self.started = self.printed = 0.0
        self.before = 0  # units that an earlier run had done

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """See `Reporter`."""
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.started, self.printed = stage, now, now
            self.before = done
        if now - self.printed < SECONDS_BETWEEN_LINES:
            return
        self.printed = now
        of = "" if total is None else f" of {total:,}"
        speed = (done - self.before) / (now - self.started)
        parts = [f"{stage}: {done:,}{of} {unit}", f"{speed:,.0f} {unit}/s"]
        if total is not None and speed:
            parts.append(f"{(total - done) / speed:,.0f} s left")
        parts += [note] if note else []
        self.say(", ".join(parts))

    def say(self, text: str) -> None:
        """See `Reporter`."""
        print(text, file=self.stream, flush=True)


class BarReporter:
    """Moves one bar on a terminal; it starts anew with each stage."""

    def __init__(self, bars: Progress) -> None:
        """Draw on `bars`, which are live already."""
        self.bars = bars
        self.stage = ""

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """See `Reporter`."""
        if stage != self.stage:
            for old in self.bars.task_ids:
                self.bars.remove_task(old)
            self.bars.add_task(stage, total=total, completed=done, unit=unit, note=note)
            self.stage = stage
        self.bars.update(self.bars.task_ids[0], completed=done, total=total, note=note)

    def say(self, text: str) -> None:
        """See `Reporter`."""
        self.bars.console.print(text, highlight=False, markup=False)


def _bars(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units done, of how many, and how many a second."""

        def render(self, task: Task) -> Text:
            if task.total is None and not task.completed:
                return Text()
            of = "" if task.total is None else f"/{task.total:,.0f}"
            rate = "" if task.speed is None else f"  {task.speed:,.0f}/s"
            return Text(f"{task.completed:,.0f}{of} {task.fields['unit']}{rate}")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Rate(),
        TimeLeft(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(file=stream, emoji=False),
        transient=True,
    )
