"""The epochs of a training run: train, validate, keep the best, stop in time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_bench.engine import choose_engine, diverged
from rafm_bench.metrics import selection_loss
from rafm_bench.run import Epoch
from rafm_bench.scoring import Scorer, measure_split
from rafm_datasets import stream
from rafm_kernels import Batch, Parameters, init_parameters, init_state, make_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_bench.job import Job
    from rafm_kernels import TrainState


NOTICED = 3.0
"""Seconds of compiling that deserve a remark."""


class Fitted(NamedTuple):
    """The best epoch by validation loss, its parameters, and what every epoch did."""

    parameters: Parameters
    best_epoch: int
    epochs: tuple[Epoch, ...]


def fit(job: Job) -> Fitted:
    """Train until epochs or patience run out; of equal epochs the earlier is best.

    Memory: the parameters, what the optimizer keeps, and a copy of the best parameters.
    """
    config = job.config
    parameters = init_parameters(job.model, config.seed, config.dtype)
    state = init_state(job.model, job.optimizer, parameters)
    epochs: list[Epoch] = []
    least, best, kept = math.inf, 0, parameters
    for number in range(1, config.epochs + 1):
        epochs.append(_run_epoch(job, state, number))
        loss = selection_loss(job.model.loss, epochs[-1].valid)
        if is_best := loss < least:
            least, best = loss, number
            kept = Parameters(*(array.copy() for array in parameters))
        job.report.say(_summary(epochs[-1], is_best=is_best))
        if config.patience and number - best >= config.patience:
            break
    return Fitted(kept, best, tuple(epochs))


def scorer(job: Job, parameters: Parameters) -> Scorer:
    """Return the scorer of a job's model with these parameters."""
    return Scorer(job.backend, job.model, parameters, job.config.threads)


def warm_up(job: Job) -> float:
    """Compile the backend's functions on a row of their own; return the seconds."""
    started = time.perf_counter()
    config = job.config
    job.report("compiling", 0, None, "")
    rows = next(stream(job.data, "train", 1))
    values = None if rows.values is None else np.ones(2, rows.values.dtype)
    both = np.arange(2, dtype=np.int32)  # two features of two fields suit every model
    batch = Batch(np.array([0, 2]), both, values, both, rows.labels)
    loss, n_fields = job.model.loss, 2
    model = make_model(config.model, [1, 1], config.ranks, loss=loss, n_fields=n_fields)
    parameters = init_parameters(model, 0, config.dtype)
    state = init_state(model, job.optimizer, parameters)
    job.backend.train(model, state, job.optimizer, batch, 1, config.threads)
    job.backend.scores(model, parameters, batch, config.threads)
    seconds = time.perf_counter() - started
    if seconds > NOTICED:
        job.report.say(f"compiled in {seconds:.1f} s; later runs find it on disk")
    return seconds


def _run_epoch(job: Job, state: TrainState, number: int) -> Epoch:
    started = time.perf_counter()
    losses, n_rows = _train_pass(job, state, number)
    seconds = time.perf_counter() - started
    now = scorer(job, state.parameters)
    stage = f"epoch {number}, validation"
    valid = measure_split(now, job.data, "valid", job.report, stage)
    return Epoch(
        epoch=number,
        train_loss=losses[0],
        level_losses=losses[1:],
        valid=valid,
        seconds=seconds,
        rows_per_second=n_rows / seconds,
        valid_seconds=time.perf_counter() - started - seconds,
    )


def _train_pass(
    job: Job, state: TrainState, number: int
) -> tuple[tuple[float, ...], int]:
    """Train on each row once; return the mean losses (all, each B_1k), and rows."""
    total, done = job.data.rows("train"), 0
    sums = np.zeros(1 + job.model.layout.n_levels)
    stage = f"epoch {number}/{job.config.epochs}"
    for advance in choose_engine(job)(job, state, number, 0):
        sums += [advance.loss_sum, *advance.level_loss_sums]
        done += advance.rows
        job.report(stage, done, total, "rows", f"loss {sums[0] / done:.4f}")
    if not all(_finite(array) for array in state.parameters):
        raise diverged(job, number, int(state.step[0]))
    return tuple((sums / done).tolist()), done


def _finite(array: NDArray[np.floating]) -> bool:
    """Whether all numbers are finite, without an array of as many answers."""
    return not array.size or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _summary(epoch: Epoch, *, is_best: bool) -> str:
    valid = " ".join(
        f"{name} {value:.4f}"
        for name, value in epoch.valid.items()
        if value is not None
    )
    return (
        f"epoch {epoch.epoch:>3}  train {epoch.train_loss:.4f}  valid {valid}  "
        f"{epoch.seconds:.1f} s  {epoch.rows_per_second:,.0f} rows/s"
        f"{'  best' if is_best else ''}"
    )
