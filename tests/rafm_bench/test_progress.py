"""Progress: plain lines elsewhere than on a terminal, and not too many."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

from rafm_bench.progress import LineReporter, reporter

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_come_every_ten_seconds_with_rate_time_left_and_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 104.0, 110.0, 115.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    report = LineReporter(stream)
    for done in (0, 400, 1000, 1500):
        report("epoch 1", done, 2000, "rows", "loss 0.5")
    line = "epoch 1: 1,000 of 2,000 rows, 100 rows/s, 10 s left, loss 0.5\n"
    assert stream.getvalue() == line


def test_what_an_earlier_run_had_done_counts_for_no_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    report = LineReporter(stream)
    report("encode", 900, 1000, "chunks")
    report("encode", 920, 1000, "chunks")
    line = "encode: 920 of 1,000 chunks, 2 chunks/s, 40 s left\n"
    assert stream.getvalue() == line


def test_a_terminal_gets_a_bar_and_remarks_stay() -> None:
    stream = Terminal()
    with reporter(stream) as report:
        report("count [x]", 5, 10, "rows")
        report.say("epoch [1] done")
        report("encode", 0, None, "rows")
    text = stream.getvalue()
    assert "count [x]" in text
    assert "5/10 rows" in text
    assert "epoch [1] done" in text
