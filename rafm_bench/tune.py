"""A search for good options: trials judged on validation, the best one tested once.

TUNE/trials.parquet      a row for each trial, see `rafm_bench.store`
TUNE/trials/NAME/        the run of a trial, NAME from the fingerprint of its config

A search that was stopped goes on where it was: a trial whose run is finished, or that
failed, is not run again, one that is half done goes on at its checkpoint. The rows
follow from the runs and may lag behind them by one.
"""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from rafm_bench.errors import Diverged, Interrupted, UserError
from rafm_bench.evaluate import evaluate
from rafm_bench.execution import STANDARD
from rafm_bench.lock import locked
from rafm_bench.metrics import SELECTION
from rafm_bench.resume import resume
from rafm_bench.run import CONFIG, MODEL, RESULT, is_unfinished, read_run, write_result
from rafm_bench.search import TRIALS, best_row, valid_loss
from rafm_bench.store import put_row, row_of_failure, row_of_run
from rafm_bench.train import UNTESTED, train

if TYPE_CHECKING:
    from rafm_bench.execution import Execution
    from rafm_bench.progress import Reporter
    from rafm_bench.run import Run
    from rafm_bench.search import Search
    from rafm_bench.space import Trial
    from rafm_bench.store import Row


def tune(
    search: Search,
    report: Reporter,
    execution: Execution = STANDARD,
    *,
    tested: bool = True,
) -> None:
    """Run the trials that are left, then score the test split for the best one.

    Parameters
    ----------
    search : its trials, and where they are kept
    report : told of the progress
    execution : how each trial is carried out
    tested : score the test split for the best trial

    Raises
    ------
    UserError                         when another process searches there, or no trial
                                      came to an end
    Interrupted                       on Ctrl-C; what is done stays
    """
    search.folder("").mkdir(parents=True, exist_ok=True)
    busy = f"{search.out}: {{holder}} is at work there; wait, or choose another --out"
    with locked(search.out / ".lock", busy):
        report.say(search.plan())
        try:
            _run_trials(search, report, execution)
            if tested:
                _test_best(search, report)
        except (Interrupted, KeyboardInterrupt) as stop:
            left, n = len(search.left()), len(search.trials)
            text = f"interrupted with {left} of {n} trials left; the same command goes "
            number = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
            raise Interrupted(f"{text}on in {search.out}", number) from None


def _run_trials(search: Search, report: Reporter, execution: Execution) -> None:
    settled = search.settled()
    for number, trial in enumerate(search.trials, start=1):
        if trial.name in settled:
            continue
        told = TrialReporter(report, f"trial {number}/{len(search.trials)}", trial)
        row = _row_of(search, trial, told, execution)
        put_row(search.store, row)
        settled[trial.name] = row
        told.end(row, is_best=best_row(settled.values()) is row)
        _drop_models(search, settled)
    _drop_models(search, settled)
    if best_row(settled.values()) is None:
        raise UserError(
            f"{search.out}: no trial came to an end; the errors are in {search.store}"
        )


def _row_of(
    search: Search, trial: Trial, told: TrialReporter, execution: Execution
) -> Row:
    """Return what a trial comes to."""
    name = f"{TRIALS}/{trial.name}"
    try:
        run = _run(search, trial, told, execution)
    except (Diverged, UserError, NotImplementedError) as error:
        if isinstance(error.__cause__, OSError):
            raise  # of the place, not of the trial
        status = "failed" if isinstance(error, Diverged) else "refused"
        fingerprint = search.data.fingerprint
        return row_of_failure(trial.config, name, fingerprint, status, str(error))
    return row_of_run(run, name)


def _run(
    search: Search, trial: Trial, told: TrialReporter, execution: Execution
) -> Run:
    """Train a trial, or go on with its run, or take it when it is finished."""
    folder, data, config = search.folder(trial.name), search.data, trial.config
    begun = (folder / RESULT).is_file() or is_unfinished(folder)
    if begun and (folder / CONFIG).is_file():
        threads = {"threads": config.threads}
        return resume(folder, data.folder, told, execution, threads, tested=False)
    if folder.exists():  # left by a kill while a run that diverged was removed
        shutil.rmtree(folder)
    return train(config, data, folder, told, execution, tested=False)


def _drop_models(search: Search, settled: dict[str, Row]) -> None:
    """Remove the model of every done trial but the best."""
    best = best_row(settled.values())
    if search.keep_models or best is None:
        return
    for name, row in settled.items():
        if row is not best:
            (search.folder(name) / MODEL).unlink(missing_ok=True)


def _test_best(search: Search, report: Reporter) -> None:
    """Score the test split for the best trial, and add it to its run and its row."""
    best = best_row(search.settled().values())
    if best is None or "test" not in search.data.splits:
        return
    if best.get(f"test_{SELECTION[best['loss']]}") is not None:
        return
    run = read_run(search.out / best["run"])
    if run.result.test is None:
        found = evaluate(run, search.data.folder, "test", report)
        notes = (*(note for note in run.result.notes if note != UNTESTED), *found.notes)
        run = replace(run, result=replace(run.result, test=found.metrics, notes=notes))
        write_result(run.folder, run.result)
    put_row(search.store, row_of_run(run, best["run"]))


class TrialReporter:
    """Tells a trial's progress under its number, and one line when it has ended."""

    def __init__(self, report: Reporter, place: str, trial: Trial) -> None:
        """Report to `report`."""
        self.report, self.place, self.trial = report, place, trial

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """See `Reporter`."""
        self.report(f"{self.place}, {stage}", done, total, unit, note)

    def say(self, text: str) -> None:
        """Keep back what training says of every epoch."""

    def end(self, row: Row, *, is_best: bool) -> None:
        """Tell what the trial came to."""
        if row["status"] == "done":
            name = SELECTION[row["loss"]]
            came = f"valid {name} {valid_loss(row):.5f} at epoch {row['best_epoch']}"
            came += f", {row['seconds']:.1f} s{'  best so far' * is_best}"
        else:
            came = f"{row['status']}: {row['error']}"
        self.report.say(f"{self.place}  {self.trial}  {came}")
