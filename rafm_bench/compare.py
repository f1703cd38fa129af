"""Runs beside each other: quality, parameters, time and predicted cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.alike import check_alike
from rafm_bench.errors import UserError
from rafm_bench.store import row_of_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.metrics import Metrics
    from rafm_bench.run import Run


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run's figures; those named `relative` are in the first run's.

    `sparse` is whether its optimizer makes exact zeros.

    `relative_cost` is the predicted work per row, None where the first run has none.
    """

    run: str
    model: str
    ranks: tuple[int, ...]
    test: Metrics | None
    n_parameters: int
    relative_parameters: float
    n_nonzero: int
    sparse: bool
    seconds_per_epoch: float
    relative_seconds: float
    cost_per_row: float
    relative_cost: float | None
    best_epoch: int
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs in the order they were given, and what makes them hard to compare."""

    runs: tuple[ComparedRun, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it all as JSON has it."""
        return asdict(self)


def compare(runs: Sequence[Run]) -> Comparison:
    """Put runs beside each other, the first one as the measure.

    Raises
    ------
    UserError                         when a run was imported, or their quality does
                                      not compare, see `check_alike`
    """
    for run in runs:
        if not run.result.epochs:
            raise UserError(
                f"{run.folder}: its model was imported, so there are no epochs to "
                f"compare; use `rafm-bench evaluate {run.folder}`"
            )
    check_alike([(run.folder, row_of_run(run, str(run.folder))) for run in runs])
    first = runs[0]
    return Comparison(tuple(_beside(run, first) for run in runs), _notes(runs))


def _beside(run: Run, first: Run) -> ComparedRun:
    own, measure = run.result, first.result
    measured = measure.predicted_cost.per_row
    return ComparedRun(
        run=str(run.folder),
        model=own.model,
        ranks=own.ranks,
        test=own.test,
        n_parameters=own.n_parameters,
        relative_parameters=own.n_parameters / measure.n_parameters,
        n_nonzero=own.n_nonzero,
        sparse=run.config.optimizer == "ftrl",
        seconds_per_epoch=own.seconds_per_epoch,
        relative_seconds=own.seconds_per_epoch / measure.seconds_per_epoch,
        cost_per_row=own.predicted_cost.per_row,
        relative_cost=own.predicted_cost.per_row / measured if measured else None,
        best_epoch=own.best_epoch,
        peak_memory_bytes=own.peak_memory_bytes,
    )


def _notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Say what differs between the runs besides the model."""
    notes = {
        "backend": "the runs used different backends: their seconds do not compare",
        "threads": "the runs used different numbers of threads: mind it in the seconds",
    }
    differing = [
        text
        for name, text in notes.items()
        if len({getattr(run.result, name) for run in runs}) > 1
    ]
    machines = {
        (run.result.versions["platform"], run.result.versions["processor"])
        for run in runs
    }
    if len(machines) > 1:
        differing.append("the runs were made on different machines: mind the seconds")
    own = (note for run in runs for note in run.result.notes)
    return (*differing, *dict.fromkeys(own))
