"""One shard's part of one round: a pure function of the state, the shard, the round."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_bench.scoring import chunks_of
from rafm_bench.shards.blocks import blocks_of
from rafm_bench.shards.merging import Update, put, take
from rafm_datasets import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rafm_bench.config import TrainConfig
    from rafm_datasets import PreparedData
    from rafm_kernels import Backend, Batch, Model, Optimizer, TrainState


class Bench(NamedTuple):
    """What a round works with besides the state."""

    config: TrainConfig
    data: PreparedData
    model: Model
    optimizer: Optimizer
    backend: Backend
    reading: Reading = Reading()


class Part(NamedTuple):
    """Rows to train on: those of a shard in a round of an epoch, counted from 0."""

    epoch: int
    round: int
    shard: int

    @property
    def key(self) -> int:
        """What tells the parts of one round apart."""
        return self.shard

    def __str__(self) -> str:
        """Say which it is."""
        return f"shard {self.shard + 1} of round {self.round + 1}"


class Answer(NamedTuple):
    """What a shard's round gave; `bad_step` as in `TrainReport`, the rest void then."""

    update: Update
    loss_sum: float
    level_loss_sums: NDArray[np.float64]
    bad_step: int

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        return self.update.n_bytes + self.level_loss_sums.nbytes


class ShardReader:
    """Reads the rows of parts; a shard's next part costs no new start."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._open: dict[int, tuple[Part, Iterator[Batch]]] = {}

    def rows(self, part: Part) -> Batch:
        """Read the rows of a part, which has some."""
        expected, chunks = self._open.pop(part.shard, (None, None))
        if chunks is None or expected != part:
            chunks = self._chunks(part)
        batch = next(chunks)
        self._open[part.shard] = (part._replace(round=part.round + 1), chunks)
        return batch

    def forget(self, part: Part) -> None:
        """Close what waits for rows of another epoch, or of rounds before a part's."""
        for shard, (following, _) in list(self._open.items()):
            if following[:2] < part[:2] or following.epoch > part.epoch:
                del self._open[shard]

    def _chunks(self, part: Part) -> Iterator[Batch]:
        config, data = self._bench.config, self._bench.data
        return chunks_of(
            self._bench.model,
            data,
            "train",
            config.round_rows,
            seed=config.seed,
            epoch=part.epoch,
            start_row=part.round * config.round_rows,
            window_groups=config.shuffle_window,
            shard=(part.shard, config.shards),
            reading=self._bench.reading,
        )


def play(bench: Bench, state: TrainState, batch: Batch) -> Answer:
    """Train on the rows of a part; the state is as before afterwards.

    Only the features of the rows change, so theirs are the values that are kept aside:
    no second copy of the state is needed.
    """
    blocks = blocks_of(state, bench.model, bench.optimizer)
    ids, counts = _seen(batch, bench.model.layout.n_features)
    before = take(blocks, ids, counts, batch.n_rows)
    done = bench.backend.train(
        bench.model,
        state,
        bench.optimizer,
        batch,
        bench.config.batch_size,
        bench.config.threads,
    )
    after = take(blocks, ids, counts, batch.n_rows)
    put(blocks, before)
    return Answer(after, done.loss_sum, done.level_loss_sums, done.bad_step)


def _seen(batch: Batch, n_features: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Which features rows have, increasing, and how many rows have each."""
    if n_features > 8 * len(batch.ids):  # rather sort the few than count the many
        ids, counts = np.unique(batch.ids, return_counts=True)
        return ids, counts
    counts = np.bincount(batch.ids, minlength=n_features)
    ids = np.flatnonzero(counts).astype(np.int32)
    return ids, counts[ids]
