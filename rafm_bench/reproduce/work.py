"""A cell's work: search its options, train it by every seed, keep what came of it.

In the folder of the report:

results.parquet            a row for each run, see `rafm_bench.store`
work/search/CELL/          the search that chose the cell's options
work/runs/CELL/NAME/       its runs; their models are removed when measured

Whatever has a row, on the same data with the same options, is not run again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.errors import Diverged
from rafm_bench.evaluate import evaluate
from rafm_bench.fingerprint import config_fingerprint
from rafm_bench.job import TASK_LOSS
from rafm_bench.metrics import spoken
from rafm_bench.reproduce.bound import measure_levels
from rafm_bench.reproduce.budget import fit_blocks
from rafm_bench.resume import resume
from rafm_bench.run import MODEL, RESULT, is_unfinished
from rafm_bench.search import best_row, make_search
from rafm_bench.store import Row, put_row, read_store, row_of_failure, row_of_run
from rafm_bench.train import train
from rafm_bench.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.budget import Budget
    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.run import Run
    from rafm_datasets import PreparedData

STORE = "results.parquet"
SEARCHED = ("learning_rate", "l2", "l1")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a report, and how its cells are run."""

    out: Path
    budget: Budget
    threads: int

    @property
    def store(self) -> Path:
        """Return the table of the runs."""
        return self.out / STORE

    def rows(self, cell: Cell | None = None) -> list[Row]:
        """Return the rows of the runs so far, of one cell where it is named."""
        rows = read_store(self.store).to_dicts() if self.store.is_file() else []
        return [row for row in rows if cell is None or row["cell"] == cell.name]


def do_cell(cell: Cell, data: PreparedData, place: Place, report: Reporter) -> None:
    """Search the options of a cell, then train it by every seed that has no row yet."""
    budget, ratings = place.budget, data.task == "regression"
    options = budget.cap(cell.options(), cell.protocol, ratings=ratings)
    options = fit_blocks(options, data.rows("train"))
    options |= {"threads": place.threads, "loss": TASK_LOSS[data.task]}
    if place.threads > 1:
        options["backend"] = "numba-parallel"
    chosen = _search(cell, options, data, place, report)
    if chosen is None:
        return
    known = {
        (row["config_fingerprint"], row["data_fingerprint"]) for row in place.rows(cell)
    }
    for seed in budget.seeds:
        config = TrainConfig(**options | chosen | {"seed": seed})
        if (config_fingerprint(config), data.fingerprint) in known:
            continue
        told = Told(report, f"{cell.name}, seed {seed} of {len(budget.seeds)}")
        row = _run_row(cell, config, data, place, told)
        put_row(place.store, row)
        told.end(row)


class Told:
    """Tells a run's progress under its name, and one line when it has ended."""

    def __init__(self, report: Reporter, name: str) -> None:
        """Report to `report`."""
        self.report, self.name = report, name

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """See `Reporter`."""
        self.report(f"{self.name}, {stage}", done, total, unit, note)

    def say(self, text: str) -> None:
        """Keep back what training says of every epoch."""

    def end(self, row: Row) -> None:
        """Tell what the run came to."""
        if row["status"] != "done":
            self.report.say(f"{self.name}: {row['status']}: {row['error']}")
            return
        metric = "rmse" if row["loss"] == "square" else "log_loss"
        self.report.say(
            f"{self.name}: test {spoken(metric)} {row[f'test_{metric}']:.4f} at epoch "
            f"{row['best_epoch']}, {row['seconds']:.1f} s"
        )


def _search(
    cell: Cell,
    options: dict[str, Any],
    data: PreparedData,
    place: Place,
    report: Reporter,
) -> dict[str, Any] | None:
    """Return the options that validation chose; None where every trial failed."""
    budget = place.budget
    space = budget.space(cell.protocol, ratings=data.task == "regression")
    space = {name: space[name] for name in space if cell.model != "lr" or name != "l1"}
    if all(len(values) == 1 for values in space.values()):
        return {name: values[0] for name, values in space.items()}
    shared = {name: value for name, value in options.items() if name not in space}
    shared["seed"] = budget.search_seed
    out = place.out / "work" / "search" / f"{cell.name}-{data.fingerprint[:8]}"
    search = make_search(data, out, {**space}, shared)
    if search.left():
        tune(search, report)
    names = {trial.name for trial in search.trials}
    best = best_row(row for name, row in search.settled().items() if name in names)
    return None if best is None else {name: best[name] for name in space}


def _run_row(
    cell: Cell, config: TrainConfig, data: PreparedData, place: Place, report: Reporter
) -> Row:
    """Train a run, or go on with it, and return its row; a failure is a row too."""
    name = f"work/runs/{cell.name}/seed-{config.seed}-{config_fingerprint(config)[:8]}"
    folder = place.out / name
    told = {
        "cell": cell.name,
        "data_set": cell.data_set,
        "protocol": cell.protocol,
        "budget": place.budget.name,
    }
    try:
        run = _run(folder, config, data, report)
    except Diverged as error:
        row = row_of_failure(config, name, data.fingerprint, "failed", str(error))
        return row | told
    row = row_of_run(run, name) | told | measured(run, data, report)
    (folder / MODEL).unlink(missing_ok=True)
    return row


def _run(
    folder: Path, config: TrainConfig, data: PreparedData, report: Reporter
) -> Run:
    if (folder / RESULT).is_file() and not (folder / MODEL).is_file():
        shutil.rmtree(folder)  # killed between the model's end and its row
    if (folder / RESULT).is_file() or is_unfinished(folder):
        return resume(folder, data.folder, report)
    if folder.exists():
        shutil.rmtree(folder)
    return train(config, data, folder, report)


def measured(run: Run, data: PreparedData, report: Reporter) -> Row:
    """Measure what a run's own result does not hold.

    `all_*` are metrics of all test rows; of RaFM's levels see `measure_levels`; seconds
    are the least of a run's epochs, of a pass and of a validation.
    """
    whole = evaluate(run, data.folder, "test", report).metrics
    levels = measure_levels(run, data) if run.config.model == "rafm" else {}
    epochs = run.result.epochs
    return {
        **{f"all_{name}": value for name, value in whole.items()},
        **levels,
        "train_seconds": min(epoch.seconds for epoch in epochs),
        "score_seconds": min(epoch.valid_seconds for epoch in epochs),
    }
