"""Experiments killed at any moment end, run again, with the figures of unbroken ones.

The process kills itself at a seeded one of the moments in between two things that it
does: progress told, a file synced or renamed.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench import staging
from rafm_bench.progress import Silent
from rafm_bench.reproduce import cells
from rafm_bench.reproduce.budget import Budget
from rafm_bench.reproduce.reproduce import Plan, reproduce
from rafm_bench.reproduce.work import Place
from rafm_bench.store import read_store

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET = Budget(
    name="small",
    seeds=(1, 2),
    epochs={"clean": 2, "clean-ratings": 2, "paper": 1, "sparse": 1},
    grids={"clean-ratings": {"learning_rate": (0.03, 0.06)}},
    l1=(0.0,),
)
MODELS: dict[str, dict[str, tuple[str, ...]]] = {
    "table3": {"ml-latest-small": ("fm-32", "rafm-8-32")}
}
KILLS = 2
TIMED = ("second", "written_at", "peak_memory")


class Moments(Silent):
    """Counts moments; the process dies at the one with the number `deadly`."""

    def __init__(self, deadly: int) -> None:
        self.deadly, self.passed = deadly, 0

    def __call__(self, *_: Any, **__: Any) -> None:
        if self.passed == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def before(self, place: Any, name: str) -> None:
        """Count the calls of a function."""
        real = getattr(place, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self()
            return real(*arguments, **named)

        setattr(place, name, counted)


def run(raw: Path, out: Path, deadly: int) -> None:
    """Run two models on small ratings, until the end or the deadly moment."""
    moments = Moments(deadly)
    cells.TABLES.clear()
    cells.TABLES.update(MODELS)
    moments.before(staging, "sync")
    moments.before(Path, "replace")
    moments.before(Path, "unlink")
    reproduce(Plan(("table3",), ("clean",), raw, Place(out, BUDGET, 1)), moments)
    out.with_suffix(".count").write_text(str(moments.passed), encoding="ascii")


@pytest.fixture(scope="module")
def in_a_process() -> Callable[..., int | None]:
    """Run in a new process that has all imported already; return its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def start(*arguments: Any) -> int | None:
        process = context.Process(target=run, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    return start


def figures(out: Path) -> list[dict[str, Any]]:
    """Read what the runs came to, times aside."""
    table = read_store(out / "results.parquet")
    kept = [name for name in table.columns if not any(one in name for one in TIMED)]
    return table.select(kept).to_dicts()


@pytest.mark.slow
def test_experiments_killed_twice_at_many_moments_end_with_the_same_figures(
    in_a_process: Callable[..., int | None], raw_ratings: Path, tmp_path: Path
) -> None:
    straight = tmp_path / "straight"
    assert in_a_process(raw_ratings, straight, -1) == 0
    n_moments = int(straight.with_suffix(".count").read_text(encoding="ascii"))
    assert n_moments > 20 * KILLS
    assert len(figures(straight)) == 4
    generator = random.Random(0)
    for number in range(KILLS):
        out = tmp_path / str(number)
        first = generator.randrange(n_moments // 2)
        assert in_a_process(raw_ratings, out, first) == -signal.SIGKILL
        again = generator.randrange(n_moments - first)
        assert in_a_process(raw_ratings, out, again) in (0, -signal.SIGKILL)
        assert in_a_process(raw_ratings, out, -1) == 0
        assert figures(out) == figures(straight)
