"""What makes an epoch's steps: a generator that stops where the state is whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rafm_bench.errors import Diverged, UserError
from rafm_bench.scoring import CHUNK_ROWS, chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rafm_bench.config import TrainConfig
    from rafm_bench.job import Job
    from rafm_bench.run import Exchange
    from rafm_bench.scoring import ScoreChunks
    from rafm_bench.stopping import Stop
    from rafm_datasets import PreparedData
    from rafm_kernels import TrainState


class Advance(NamedTuple):
    """A part of an epoch that is done; the state holds all of it, and no more.

    Attributes
    ----------
    at : where the epoch goes on: rows done of it (one machine), or rounds (shards)
    rows : rows of this part
    loss_sum : sum over them of the loss, each scored before its own step
    level_loss_sums : float64[n_levels]   the same of every B_1k
    """

    at: int
    rows: int
    loss_sum: float
    level_loss_sums: NDArray[np.float64]


class TrainEpoch(Protocol):
    """Trains an epoch, changing the state in place.

    The steps after an `Advance`, and what they tell, depend on the job's config, the
    state and `at` alone: an epoch that starts anew at any `at` goes on as if it had
    never stopped.
    """

    def __call__(
        self, job: Job, state: TrainState, epoch: int, start: int
    ) -> Iterator[Advance]:
        """Train epoch number `epoch`, from 1, from `start`, the `at` of an `Advance`.

        Raises
        ------
        Diverged                      by `diverged`, when a loss or weight is not finite
        """


class Engine(NamedTuple):
    """What trains a run, and scores with its state.

    Attributes
    ----------
    train : trains an epoch
    scoring : gives what scores with a state elsewhere; None: this process does
    exchange : tells what was exchanged with shards so far; None where there are none
    """

    train: TrainEpoch
    scoring: Callable[[TrainState], ScoreChunks] | None = None
    exchange: Callable[[], Exchange] | None = None


def check_engine(job: Job) -> None:
    """Raise UserError where no engine can carry the job out as it is asked for."""
    from rafm_bench.shards.engine import check_places, check_shards

    check_places(job)
    if job.config.shards > 1:
        if job.config.blocks:
            raise UserError("--blocks goes with one machine; leave --shards out")
        check_shards(job)


@contextmanager
def open_engine(job: Job, stop: Stop | None = None) -> Iterator[Engine]:
    """Give the engine that the job's config asks for, for all its epochs.

    The job has passed `check_engine`. `stop` ends the waiting for workers too: Stopped,
    with the state as it was.
    """
    from rafm_bench.shards.engine import open_rounds

    if job.config.shards == 1:
        yield Engine(_by_blocks() if job.config.blocks else one_machine)
        return
    with open_rounds(job, stop) as engine:
        yield engine


def _by_blocks() -> TrainEpoch:
    from rafm_bench.blocks import random_blocks

    return random_blocks


def rows_per_epoch(config: TrainConfig, data: PreparedData) -> int:
    """Count the rows that an epoch trains on."""
    n_rows = data.rows("train")
    return config.blocks * min(config.batch_size, n_rows) or n_rows


def one_machine(
    job: Job, state: TrainState, epoch: int, start: int
) -> Iterator[Advance]:
    """Train on the rows of an epoch in their order, chunk by chunk; see its type."""
    config, at = job.config, start
    chunk_rows = rows_of_chunk(config.batch_size)
    order = {
        "seed": config.seed,
        "epoch": epoch - 1,
        "start_row": start,
        "window_groups": config.shuffle_window,
        "reading": job.reading,
    }
    for batch in chunks_of(job.model, job.data, "train", chunk_rows, **order):
        before = int(state.step[0])
        done = job.backend.train(
            job.model, state, job.optimizer, batch, config.batch_size, config.threads
        )
        if done.bad_step >= 0:
            raise diverged(job, epoch, before + done.bad_step + 1)
        at += batch.n_rows
        yield Advance(at, batch.n_rows, done.loss_sum, done.level_loss_sums)


def rows_of_chunk(batch_size: int) -> int:
    """Return the rows that a call of a backend gets: whole batches of that size."""
    return max(1, CHUNK_ROWS // batch_size) * batch_size


def diverged(job: Job, epoch: int, step: int, *, found_later: bool = False) -> Diverged:
    """Return the error of a loss or weight that is not finite at a step, from 1.

    `found_later`: a weight was seen after the step, of which an earlier one spoilt it.
    """
    config = job.config
    what = f"the loss or a weight is not finite at step {step:,}"
    if found_later:
        what = f"a weight is not finite, found after step {step:,}"
    return Diverged(
        f"{what} (epoch {epoch}) with "
        f"{config.optimizer} at learning rate {config.learning_rate:g}; try "
        f"--learning-rate {min(0.1, config.learning_rate / 10):g}"
    )
