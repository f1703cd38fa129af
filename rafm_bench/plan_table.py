"""What `prepare --plan` tells, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.tables import table
from rafm_bench.words import size

if TYPE_CHECKING:
    from rich.console import Console

    from rafm_datasets import Estimate, Plan

_ACTIONS = {
    "begin": "prepare would begin",
    "resume": "prepare would go on with the run that was broken off",
    "nothing": "it is prepared already: prepare would do nothing",
}


def show_plan(plan: Plan, console: Console) -> None:
    """Print files, rows, disk, memory, time and warnings."""
    done = f"{plan.out}: {_ACTIONS[plan.action]}"
    console.print(done, highlight=False, soft_wrap=True, markup=False)
    shown = table("file", "split", "stored", "text", "rows", left=2)
    for file in plan.files:
        about = "" if file.exact else "~"
        text = about + size(file.text_bytes)
        cells = (file.label, file.split or "", size(file.stored_bytes), text)
        shown.add_row(*cells, f"~{file.rows:,}")
    console.print(shown)
    lines = [
        f"memory     limit {size(plan.memory_limit)}, of which the program "
        f"{size(plan.base_bytes)}; {plan.workers} at once, chunks of "
        f"{size(plan.chunk_bytes)}"
    ]
    if plan.estimate is not None:
        lines = [*_estimated(plan.estimate, plan.free_bytes), *lines]
    for line in [*lines, *(f"warning: {text}" for text in plan.warnings)]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _estimated(estimate: Estimate, free: int) -> list[str]:
    return [
        f"rows       about {estimate.rows:,}",
        f"features   about {estimate.features:,}",
        f"disk       about {size(estimate.final_bytes)}, "
        f"{size(estimate.peak_disk_bytes)} while at work; {size(free)} free",
        f"time       about {duration(estimate.seconds)}; it may be half or twice that "
        f"({estimate.sample_rows:,} rows were tried)",
    ]


def duration(seconds: float) -> str:
    """Write a rough time in the unit that suits it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
