"""Scores of a split from workers, piece by piece, with the bits of one machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_bench.scoring import CHUNK_ROWS, Scored, Scorer, chunks_of, score_batch
from rafm_kernels import Optimizer, init_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rafm_bench.config import TrainConfig
    from rafm_bench.execution import Execution
    from rafm_bench.progress import Reporter
    from rafm_bench.scoring import ScoreChunks
    from rafm_bench.shards.crew import ClusterCrew
    from rafm_bench.shards.rounds import Bench
    from rafm_datasets import PreparedData
    from rafm_kernels import Parameters, TrainState

PIECE_ROWS = 4 * CHUNK_ROWS
AT_ONCE = 64  # pieces asked for together: as many scores wait for their turn


class Piece(NamedTuple):
    """Rows to score: `PIECE_ROWS` of a split from `start`, or what is left of it."""

    split: str
    start: int
    with_levels: bool = False

    @property
    def key(self) -> int:
        """What tells the pieces of a split apart."""
        return self.start

    def __str__(self) -> str:
        """Say which it is."""
        return f"{self.split} from row {self.start + 1:,}"


class ScoredPiece(NamedTuple):
    """Scores and labels of a piece; `levels` as in `Scored`."""

    scores: NDArray[np.float64]
    labels: NDArray[np.float32]
    levels: NDArray[np.float64] | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self if array is not None)


def score_piece(bench: Bench, parameters: Parameters, piece: Piece) -> ScoredPiece:
    """Score a piece, in the chunks in which one machine scores the split."""
    config, data, model, _, backend, reading = bench
    where = {"start_row": piece.start, "reading": reading}
    chunks = chunks_of(model, data, piece.split, CHUNK_ROWS, **where)
    scorer = Scorer(backend, model, parameters, config.threads)
    scorer = scorer._replace(with_levels=piece.with_levels)
    pairs = zip(range(PIECE_ROWS // CHUNK_ROWS), chunks, strict=False)
    scores, labels, levels = zip(
        *(score_batch(scorer, batch) for _, batch in pairs), strict=True
    )
    return ScoredPiece(
        np.concatenate(scores),
        np.concatenate(labels),
        np.concatenate(levels) if piece.with_levels else None,
    )


def score_with(crew: ClusterCrew, state: TrainState) -> ScoreChunks:
    """Return what scores a split with the parameters of a state, as a crew has it."""

    def scored(scorer: Scorer, data: PreparedData, split: str) -> Iterator[Scored]:
        starts = range(0, data.rows(split), PIECE_ROWS)
        for first in range(0, len(starts), AT_ONCE):
            some = [
                Piece(split, at, scorer.with_levels)
                for at in starts[first : first + AT_ONCE]
            ]
            for piece in crew.answers(state, some):
                yield from _chunks(piece)

    return scored


@contextlib.contextmanager
def scoring_at(
    where: Execution, config: TrainConfig, report: Reporter
) -> Iterator[ScoreChunks | None]:
    """Give what scores a split where `where` says; None: this process does."""
    if not where.place_flag:
        yield None
        return
    from rafm_bench.shards.crew import ClusterCrew, open_cluster
    from rafm_bench.shards.rounds import Bench

    def scored(scorer: Scorer, data: PreparedData, split: str) -> Iterator[Scored]:
        none = Optimizer("sgd")
        state = init_state(scorer.model, none, scorer.parameters)
        bench = Bench(config, data, scorer.model, none, scorer.backend)
        with contextlib.closing(ClusterCrew(cluster, bench, report)) as crew:
            yield from score_with(crew, state)(scorer, data, split)

    with open_cluster(where) as cluster:
        yield scored


def _chunks(piece: ScoredPiece) -> Iterator[Scored]:
    for start in range(0, len(piece.labels), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        levels = None if piece.levels is None else piece.levels[rows]
        yield Scored(piece.scores[rows], piece.labels[rows], levels)
