"""Train a model on prepared data, in a run that is made at once and can be resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.compiling import warm_up
from rafm_bench.cost import predict_cost
from rafm_bench.course import Course
from rafm_bench.engine import check_engine, rows_per_epoch
from rafm_bench.execution import STANDARD, Execution
from rafm_bench.fit import fit, measure, scorer
from rafm_bench.job import Job, make_job
from rafm_bench.memory import forget_peak_memory
from rafm_bench.memory_plan import within_memory
from rafm_bench.metrics import Metrics, notes_on
from rafm_bench.origin import origin_of
from rafm_bench.run import Run, RunResult, read_run, write_result
from rafm_bench.run_folder import RunFolder, begin_run, portable, refuse_taken
from rafm_bench.states import start_of
from rafm_bench.stopping import Stopped, stop_on_signals
from rafm_bench.versions import versions
from rafm_kernels import count_nonzero

if TYPE_CHECKING:
    from rafm_bench.config import TrainConfig
    from rafm_bench.fit import Fitted
    from rafm_bench.progress import Reporter
    from rafm_datasets import PreparedData


UNTESTED = "the test split was left alone: a search scores it for its best trial only"


def train(
    config: TrainConfig,
    data: PreparedData,
    out: Path,
    report: Reporter,
    execution: Execution = STANDARD,
    *,
    tested: bool = True,
) -> Run:
    """Train, keep the best epoch by validation loss, score the test split once.

    Parameters
    ----------
    config : what to train, and how
    data : prepared data with rows in train and valid
    out : folder to write; must not exist; it is finished when it holds result.json
    report : told of the progress
    execution : how it is carried out, which changes no result
    tested : whether to score the test split

    Returns
    -------
    Run                               as read back from `out`

    Raises
    ------
    UserError                         when `out` exists, or config and data do not fit
    Diverged                          when the loss stops being finite: nothing is left
    Interrupted                       by a signal; `resume` goes on where it was
    """
    refuse_taken(out)
    forget_peak_memory()
    job = make_job(with_full_paths(config), data, report, execution)
    check_engine(job)
    origin = origin_of(job, portable(job.config), start_of(job))
    with begin_run(out, origin, job.config) as place:
        return carry_out(job, place, tested=tested)


def carry_out(job: Job, place: RunFolder, *, tested: bool) -> Run:
    """Train from the checkpoint of a run's folder to its end; see `train`."""
    compile_seconds = warm_up(job)
    job = within_memory(job, place.state.parent)
    with stop_on_signals() as stop, Course(job, place, stop) as course:
        try:
            fitted = fit(course)
            result = _result(course, fitted, compile_seconds, tested=tested)
        except Stopped:
            raise course.interrupted() from None
        course.publish()
        write_result(place.folder, result)
    place.finish()
    return read_run(place.folder)


def with_full_paths(config: TrainConfig) -> TrainConfig:
    """Name the run to start from by its full path, which a run's folder may keep."""
    if config.init_from is None:
        return config
    return replace(config, init_from=str(Path(config.init_from).resolve()))


def _result(
    course: Course, fitted: Fitted, compile_seconds: float, *, tested: bool
) -> RunResult:
    job = course.watched
    config, data, layout = job.config, job.data, job.model.layout
    valid = fitted.epochs[fitted.best_epoch - 1].valid
    test, notes = _test(job, fitted) if tested else (None, [UNTESTED])
    return RunResult(
        model=config.model,
        ranks=config.ranks,
        loss=job.model.loss,
        backend=config.backend,
        threads=config.threads,
        seed=config.seed,
        data=str(data.folder.resolve()),
        data_fingerprint=data.fingerprint,
        n_features=data.n_features,
        features_at_rank=layout.features_at_rank,
        n_parameters=layout.n_parameters,
        n_nonzero=count_nonzero(fitted.parameters),
        n_rows_per_epoch=rows_per_epoch(config, data),
        predicted_cost=predict_cost(layout, job.counts, data.rows("train")),
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        valid=valid,
        test=test,
        notes=(*notes_on(valid, "valid"), *notes),
        compile_seconds=compile_seconds,
        peak_memory_bytes=course.peak_memory(),
        versions=versions(),
        init_from=config.init_from,
        init_sha256=course.place.origin.start,
        exchange=fitted.exchange,
    )


def _test(job: Job, fitted: Fitted) -> tuple[Metrics | None, list[str]]:
    """Score the test split with the best epoch's parameters; None where it is empty."""
    if "test" not in job.data.splits:
        return None, ["the data holds no test rows: nothing was tested"]
    test = measure(scorer(job, fitted.parameters), job, "test", "test")
    return test, notes_on(test, "test")
