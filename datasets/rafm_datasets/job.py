"""One run of `prepare`: what its passes share, and how a pass runs its tasks.

A task writes files only, the one that marks it done last, and removes none: it may run
twice, or twice at once, when a worker is lost. What is not needed any more is removed
here, once the result of the task is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rafm_datasets.execute import run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rafm_datasets.budget import Budget
    from rafm_datasets.execute import Progress
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.pools import Pool
    from rafm_datasets.raw import RawInput


@dataclass(frozen=True, slots=True)
class Job:
    """What all passes of one run need."""

    options: PrepareOptions
    inputs: tuple[RawInput, ...]
    folder: Path
    budget: Budget
    pool: Pool
    progress: Progress


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: `marker` tells that it is done, `spent` is then removed."""

    marker: Path
    work: Callable[[], None]
    spent: Path | None = None

    def __call__(self) -> None:
        """Work, unless a worker that was lost since had done it."""
        if not self.marker.exists():
            self.work()


def run_stage(
    job: Job,
    stage: str,
    unit: str,
    tasks: Sequence[Task],
    at_once: int | None = None,
) -> None:
    """Run the tasks whose marker is not there yet."""
    todo = [task for task in tasks if not task.marker.exists()]
    done = len(tasks) - len(todo)
    job.progress(stage, done, len(tasks), unit)

    def report(number: int, _: None) -> None:
        nonlocal done
        done += 1
        spent = todo[number].spent
        if spent is not None:
            spent.unlink(missing_ok=True)
        job.progress(stage, done, len(tasks), unit)

    run_tasks(todo, job.pool, report, at_once)


def staged(job: Job, number: int, kind: str = "json") -> Path:
    """Name a work file of chunk `number`."""
    return job.folder / f"{number:06d}.{kind}"
