"""A cell's work: search its options, train it by every seed, keep what came of it.

In the folder of the report:

results.parquet            a row for each run, see `rafm_bench.store`
work/search/CELL/          the search that chose the cell's options
work/runs/CELL/NAME/       its runs; their models are removed when measured

Whatever has a row, on the same data with the same options, is not run again. A cell
that comes to nothing has a row with its error, and is in nobody's way.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.errors import Diverged, UserError
from rafm_bench.evaluate import evaluate
from rafm_bench.fingerprint import config_fingerprint
from rafm_bench.job import TASK_LOSS
from rafm_bench.metrics import spoken
from rafm_bench.reproduce.bound import measure_levels
from rafm_bench.reproduce.budget import fit_blocks
from rafm_bench.resume import resume
from rafm_bench.run import MODEL, RESULT, is_unfinished
from rafm_bench.search import TRIALS, best_row, make_search
from rafm_bench.store import (
    Row,
    put_row,
    read_rows,
    read_store,
    row_of_failure,
    row_of_run,
)
from rafm_bench.train import train
from rafm_bench.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.budget import Budget
    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.run import Run
    from rafm_bench.search import Search
    from rafm_datasets import PreparedData

STORE = "results.parquet"
BACKEND = "numba-parallel"
"""The backend of all runs, with one thread too, so that threads change no config."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a report, and how its cells are run.

    `data` are the fingerprints of the data at hand, by data set and protocol: results
    on other data do not count.
    """

    out: Path
    budget: Budget
    threads: int
    data: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """Return the table of the runs."""
        return self.out / STORE

    def rows(self, cell: Cell | None = None) -> list[Row]:
        """Return the rows of this budget on the data at hand, of a cell or of all."""
        return [
            row
            for row in self.all_rows()
            if row["budget"] == self.budget.name
            and (cell is None or row["cell"] == cell.name)
            and self._is_at_hand(row)
        ]

    def all_rows(self) -> list[Row]:
        """Return the rows of all runs so far, whatever their data and budget."""
        return read_store(self.store).to_dicts() if self.store.is_file() else []

    def _is_at_hand(self, row: Row) -> bool:
        known = self.data.get((row.get("data_set", ""), row.get("protocol", "")))
        return known is None or row["data_fingerprint"] == known


def do_cell(cell: Cell, data: PreparedData, place: Place, report: Reporter) -> None:
    """Search the options of a cell, then train it by every seed that has no row yet.

    A run of another budget with the same options on the same data is taken over.
    """
    budget, ratings = place.budget, data.task == "regression"
    options = budget.cap(cell.options(), cell.protocol, ratings=ratings)
    options = fit_blocks(options, data.rows("train"))
    options |= {
        "backend": BACKEND,
        "threads": place.threads,
        "loss": TASK_LOSS[data.task],
    }
    chosen = _search(cell, options, data, place, report)
    if chosen is None:
        return
    settled = (row for row in place.all_rows() if row["status"] != "refused")
    known = {_key(row): row for row in settled if row["cell"] == cell.name}
    for seed in budget.seeds:
        config = TrainConfig(**options | chosen | {"seed": seed})
        key = (config_fingerprint(config), data.fingerprint)
        if (*key, budget.name) in known:
            continue
        name = _name(cell, config, data, place)
        same = next((row for one, row in known.items() if one[:2] == key), None)
        if same is not None:
            put_row(place.store, same | {"run": name, "budget": budget.name})
            continue
        told = Told(report, f"{cell.name}, seed {seed} of {len(budget.seeds)}")
        row = _run_row(cell, config, data, place, told)
        put_row(place.store, row)
        told.end(row)


def _key(row: Row) -> tuple[str, str, str]:
    """Return what tells a run of a cell from others."""
    return row["config_fingerprint"], row["data_fingerprint"], row["budget"]


def _name(cell: Cell, config: TrainConfig, data: PreparedData, place: Place) -> str:
    """Name a run by all that tells it from others; its folder, from the report's."""
    key = f"{config_fingerprint(config)[:8]}-{data.fingerprint[:8]}"
    return f"work/runs/{cell.name}/{place.budget.name}-seed-{config.seed}-{key}"


def _told_of(cell: Cell, place: Place) -> Row:
    """Return the columns that say which cell a row is of."""
    return {
        "cell": cell.name,
        "data_set": cell.data_set,
        "protocol": cell.protocol,
        "budget": place.budget.name,
    }


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


def space_of(
    cell: Cell, budget: Budget, *, ratings: bool
) -> dict[str, tuple[Any, ...]]:
    """Return what is searched for a cell: of every model the same, but of LR.

    Under the paper's protocol L2 shrinks embeddings alone, and LR has none.
    """
    space = budget.space(cell.protocol, ratings=ratings)
    if cell.model == "lr" and cell.options().get("l2_scope") == "all":
        del space["l2"]
    return space


def _search(
    cell: Cell,
    options: dict[str, Any],
    data: PreparedData,
    place: Place,
    report: Reporter,
) -> dict[str, Any] | None:
    """Return the options that validation chose; None where every trial failed.

    That is told by a row, in place of the runs.
    """
    budget = place.budget
    space = space_of(cell, budget, ratings=data.task == "regression")
    if all(len(values) == 1 for values in space.values()):
        return {name: values[0] for name, values in space.items()}
    shared = {name: value for name, value in options.items() if name not in space}
    shared["seed"] = budget.search_seed
    out = place.out / "work" / "search" / f"{cell.name}-{data.fingerprint[:8]}"
    search = make_search(data, out, {**space}, shared)
    if search.left():
        try:
            tune(search, report, tested=False)
        except UserError:
            if search.store.is_file() and _lost(search):
                _give_up(search, cell, place, report)
                return None
            raise  # of the place, not of the trials
    names = {trial.name for trial in search.trials}
    best = best_row(row for name, row in search.settled().items() if name in names)
    if best is None:
        _give_up(search, cell, place, report)
        return None
    (search.out / best["run"] / MODEL).unlink(missing_ok=True)
    return {name: best[name] for name in space}


def _lost(search: Search) -> list[Row]:
    """Return the rows of the trials where all of them failed or were refused."""
    rows = {row["run"]: row for row in read_rows(search.store)}
    own = [rows.get(f"{TRIALS}/{trial.name}") for trial in search.trials]
    lost = [row for row in own if row is not None and row["status"] != "done"]
    return lost if len(lost) == len(own) else []


def _give_up(search: Search, cell: Cell, place: Place, report: Reporter) -> None:
    """Add the row of a cell whose trials all came to nothing, with the first's error.

    It is one of the first seed: with the search mended, that run takes its place.
    """
    first = _lost(search)[0]
    config = replace(search.trials[0].config, seed=place.budget.seeds[0])
    name = _name(cell, config, search.data, place)
    error = f"all {len(search.trials)} trials came to nothing: {first['error']}"
    row = row_of_failure(config, name, search.data.fingerprint, "refused", error)
    report.say(f"{cell.name}: {error}")
    put_row(place.store, row | _told_of(cell, place))


def _run_row(
    cell: Cell, config: TrainConfig, data: PreparedData, place: Place, report: Reporter
) -> Row:
    """Train a run, or go on with it, and return its row; a failure is a row too."""
    name, told = _name(cell, config, data, place), _told_of(cell, place)
    folder = place.out / name
    try:
        run = _run(folder, config, data, report)
        row = row_of_run(run, name) | told | measured(run, data, report)
    except (Diverged, UserError, NotImplementedError) as error:
        if isinstance(error.__cause__, OSError):
            raise  # of the place, not of the run
        status = "failed" if isinstance(error, Diverged) else "refused"
        return row_of_failure(config, name, data.fingerprint, status, str(error)) | told
    (folder / MODEL).unlink(missing_ok=True)
    return row


def _run(
    folder: Path, config: TrainConfig, data: PreparedData, report: Reporter
) -> Run:
    if (folder / RESULT).is_file() and not (folder / MODEL).is_file():
        shutil.rmtree(folder)  # killed between the model's end and its row
    if (folder / RESULT).is_file() or is_unfinished(folder):
        threads = {"threads": config.threads}
        return resume(folder, data.folder, report, flags=threads)
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
