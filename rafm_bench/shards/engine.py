"""The engine of rounds: ask every shard, merge the answers, go on."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rafm_bench.engine import Advance, Engine, diverged
from rafm_bench.errors import UserError
from rafm_bench.run import Exchange
from rafm_bench.shards.blocks import blocks_of
from rafm_bench.shards.merging import merge, put
from rafm_bench.shards.rounds import Bench, Part, ShardReader, play
from rafm_datasets import rows_of_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rafm_bench.job import Job
    from rafm_bench.shards.merging import Update
    from rafm_bench.shards.rounds import Answer
    from rafm_bench.stopping import Stop
    from rafm_kernels import TrainState


class Crew(Protocol):
    """Plays the parts of a round, anywhere; where never changes an answer."""

    seen: set[str]
    n_redone: int

    def answers(self, state: TrainState, parts: Sequence[Any]) -> list[Any]:
        """Play parts from one state, which stays as it is; answers in their order."""

    def tell(self, update: Update) -> None:
        """Take note of the update that makes the next state of the last one."""


class Here:
    """Plays one part after another in this process."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._reader = bench, ShardReader(bench)
        self.seen: set[str] = set()
        self.n_redone = 0

    def answers(self, state: TrainState, parts: Sequence[Part]) -> list[Answer]:
        """See `Crew`."""
        self._reader.forget(parts[0])
        return [play(self._bench, state, self._reader.rows(part)) for part in parts]

    def tell(self, update: Update) -> None:
        """See `Crew`: there is one state only, and the engine changes it."""


class Rounds:
    """Trains epochs round by round with a crew, and counts what is exchanged."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._n_rounds = self._bytes_up = self._bytes_down = 0

    def train(
        self, job: Job, state: TrainState, epoch: int, start: int
    ) -> Iterator[Advance]:
        """See `TrainEpoch`."""
        config, sizes = job.config, _sizes(job, epoch - 1)
        blocks = blocks_of(state, job.model, job.optimizer)
        for number in range(start, -(-max(sizes) // config.round_rows)):
            first = number * config.round_rows
            shards = [shard for shard, size in enumerate(sizes) if first < size]
            parts = [Part(epoch - 1, number, shard) for shard in shards]
            answers = self._crew.answers(state, parts)
            for answer in answers:
                if answer.bad_step >= 0:
                    step = int(state.step[0]) + answer.bad_step + 1
                    raise diverged(job, epoch, step)
            update = merge([one.update for one in answers], blocks, job.optimizer)
            put(blocks, update)
            self._crew.tell(update)
            self._count(answers, update)
            yield Advance(
                number + 1,
                update.n_rows,
                float(sum(one.loss_sum for one in answers)),
                np.sum([one.level_loss_sums for one in answers], axis=0),
            )

    def exchange(self, job: Job) -> Exchange:
        """Tell what was exchanged so far."""
        n = max(1, self._n_rounds)
        return Exchange(
            shards=job.config.shards,
            round_rows=job.config.round_rows,
            rounds=self._n_rounds,
            bytes_up=self._bytes_up // n,
            bytes_down=self._bytes_down // n,
            workers=tuple(sorted(self._crew.seen)),
            n_redone=self._crew.n_redone,
        )

    def _count(self, answers: Sequence[Answer], update: Update) -> None:
        self._n_rounds += 1
        self._bytes_up += sum(one.n_bytes for one in answers)
        self._bytes_down += len(answers) * update.n_bytes


@contextlib.contextmanager
def open_rounds(job: Job, stop: Stop | None = None) -> Iterator[Engine]:
    """Open the crew that the job's execution asks for, and give its engine."""
    bench = Bench(
        job.config, job.data, job.model, job.optimizer, job.backend, job.reading
    )
    where = job.execution
    if not where.place_flag:
        rounds = Rounds(Here(bench))
        yield Engine(rounds.train, None, partial(rounds.exchange, job))
        return
    from rafm_bench.shards.crew import ClusterCrew, open_cluster
    from rafm_bench.shards.pieces import score_with

    with (
        open_cluster(where) as cluster,
        contextlib.closing(ClusterCrew(cluster, bench, job.report, stop)) as crew,
    ):
        rounds = Rounds(crew)
        scoring = partial(score_with, crew)
        yield Engine(rounds.train, scoring, partial(rounds.exchange, job))


def check_places(job: Job) -> None:
    """Raise UserError where workers would have no shards, or not do as is asked."""
    where, flag = job.execution, job.execution.place_flag
    if not flag:
        return
    if job.config.shards == 1:
        raise UserError(
            f"{flag} says where shards are trained, and there is one only; add "
            "--shards N, or leave it out"
        )
    asked = {
        "--parameters mmap": where.parameters == "mmap",
        "--data-in memory": where.data_in == "memory",
    }
    for other, is_given in asked.items():
        if is_given:
            raise UserError(
                f"{other} is for training in this process, and the workers of {flag} "
                "hold the model in memory and read rows anew; leave one of them out"
            )


def check_shards(job: Job) -> None:
    """Raise UserError where the job cannot be cut into so many shards."""
    if job.optimizer.name == "adam-dense":
        raise UserError(
            "optimizer 'adam-dense' changes every parameter in every step, and shards "
            "exchange only what their rows touch; use --optimizer adam, or --shards 1"
        )
    sizes = _sizes(job, 0)
    if not min(sizes):
        n_groups = sum(size > 0 for size in sizes)
        raise UserError(
            f"{job.data.folder}: the rows of train lie in {n_groups} row groups, the "
            f"least that a shard can be, and --shards is {job.config.shards}; use "
            f"--shards {n_groups} or less"
        )


def _sizes(job: Job, epoch: int) -> list[int]:
    """Rows of each shard in an epoch, from 0."""
    config = job.config
    order = {"seed": config.seed, "epoch": epoch}
    return [
        rows_of_shard(job.data, "train", (shard, config.shards), **order)
        for shard in range(config.shards)
    ]
