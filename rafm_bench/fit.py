"""The epochs of a training run: train, validate, keep the best, stop in time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.blocks import measure_blocks
from rafm_bench.engine import diverged, open_engine, rows_per_epoch
from rafm_bench.finite import all_finite
from rafm_bench.metrics import progressive_metrics, selection_loss, shown
from rafm_bench.run import Epoch
from rafm_bench.scoring import Scorer, measure_split

if TYPE_CHECKING:
    from rafm_bench.checkpoint import Standing
    from rafm_bench.config import TrainConfig
    from rafm_bench.course import Course
    from rafm_bench.engine import Engine
    from rafm_bench.job import Job
    from rafm_bench.metrics import Metrics
    from rafm_bench.run import Exchange
    from rafm_kernels import Parameters, TrainState


class Fitted(NamedTuple):
    """The best epoch by validation loss, its parameters, and what every epoch did."""

    parameters: Parameters
    best_epoch: int
    epochs: tuple[Epoch, ...]
    exchange: Exchange | None = None


def fit(course: Course) -> Fitted:
    """Train until epochs or patience run out; of equal epochs the earlier is best.

    Memory: the parameters, what the optimizer keeps, and for small models a copy of
    the best parameters.
    """
    standing, state = course.standing, course.state
    with open_engine(course.job, course.stop) as engine:
        while state is not None and not _is_over(standing, course.job.config):
            if not standing.passed:
                _pass(course, engine, state)
            _validate(course, engine, state)
        exchange = engine.exchange() if engine.exchange else None
    return Fitted(course.end(), standing.best, tuple(standing.epochs), exchange)


def _is_over(standing: Standing, config: TrainConfig) -> bool:
    done = len(standing.epochs)
    waited = done - standing.best
    return done >= config.epochs or bool(config.patience and waited >= config.patience)


def scorer(job: Job, parameters: Parameters) -> Scorer:
    """Return the scorer of a job's model with these parameters."""
    return Scorer(job.backend, job.model, parameters, job.config.threads, job.reading)


def measure(scorer: Scorer, job: Job, split: str, stage: str) -> Metrics:
    """Measure a split, in the way that the job's config asks for."""
    if job.config.blocks:
        return measure_blocks(job, scorer, split)
    return measure_split(scorer, job.data, split, job.report, stage)


def _pass(course: Course, engine: Engine, state: TrainState) -> None:
    """Train on each row that is left of the running epoch."""
    job, standing = course.job, course.standing
    stage = f"epoch {standing.epoch}/{job.config.epochs}"
    n_rows = rows_per_epoch(job.config, job.data)
    started = time.perf_counter()
    for part in engine.train(job, state, standing.epoch, standing.at):
        course.advance(part, time.perf_counter() - started)
        loss = standing.sums[0] / standing.rows
        job.report(stage, standing.rows, n_rows, "rows", f"loss {loss:.4f}")
        course.pause()
        started = time.perf_counter()
    if not all_finite(state.parameters):
        raise diverged(job, standing.epoch, int(state.step[0]), found_later=True)
    standing.passed = True


def _validate(course: Course, engine: Engine, state: TrainState) -> None:
    """Measure the epoch whose rows are done, keep it when it is the best, count it."""
    job, standing = course.job, course.standing
    started = time.perf_counter()
    losses = [loss / standing.rows for loss in standing.sums]
    valid = _measure(course, engine, state, losses[0])
    epoch = Epoch(
        epoch=standing.epoch,
        train_loss=losses[0],
        level_losses=tuple(losses[1:]),
        valid=valid,
        seconds=standing.seconds,
        rows_per_second=standing.rows / standing.seconds,
        valid_seconds=time.perf_counter() - started,
    )
    loss = selection_loss(job.model.loss, valid)
    is_best = loss < standing.least
    course.end_epoch(epoch, loss if is_best else None)
    job.report.say(_summary(epoch, is_best=is_best))


def _measure(course: Course, engine: Engine, state: TrainState, loss: float) -> Metrics:
    """Measure validation rows, or take the mean loss of rows before their own step."""
    job = course.watched
    if job.config.validation == "progressive":
        return progressive_metrics(job.model.loss, loss)
    now = scorer(job, state.parameters)
    if engine.scoring is not None:
        now = now._replace(elsewhere=engine.scoring(state))
    return measure(now, job, "valid", f"epoch {course.standing.epoch}, validation")


def _summary(epoch: Epoch, *, is_best: bool) -> str:
    valid = " ".join(
        f"{name} {value:.4f}"
        for name, value in shown(epoch.valid).items()
        if value is not None
    )
    return (
        f"epoch {epoch.epoch:>3}  train {epoch.train_loss:.4f}  valid {valid}  "
        f"{epoch.seconds:.1f} s  {epoch.rows_per_second:,.0f} rows/s"
        f"{'  best' if is_best else ''}"
    )
