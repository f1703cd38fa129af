"""A worker's side: the state it keeps from round to round, and the parts it plays."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rafm_bench.shards.blocks import blocks_of
from rafm_bench.shards.merging import Update, put
from rafm_bench.shards.pieces import Piece, ScoredPiece, score_piece
from rafm_bench.shards.rounds import Answer, Bench, Part, ShardReader, play
from rafm_datasets import DataError, Reading, open_prepared
from rafm_kernels import load_backend, state_from_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_bench.config import TrainConfig
    from rafm_kernels import Model, Optimizer, TrainState

IDLE_SECONDS = 60.0
"""A run that asked for nothing so long gives up its state when another begins."""


class Whole(NamedTuple):
    """All that a worker needs before its first part of a run."""

    config: TrainConfig
    folder: str
    fingerprint: str
    model: Model
    optimizer: Optimizer
    arrays: dict[str, NDArray[Any]]
    versions: dict[str, str]
    reader_threads: int


class Order(NamedTuple):
    """A part to play with the state of `version`; `news` makes it of the one before."""

    token: str
    version: int
    part: Part | Piece
    news: Update | None


class Unfit(NamedTuple):
    """Why a worker cannot play for this run, as the end of a sentence."""

    reason: str


class _Desk:
    """What this process keeps of one run; one part is played at a time."""

    def __init__(self, whole: Whole, version: int) -> None:
        data = open_prepared(whole.folder)
        if data.fingerprint != whole.fingerprint:
            raise DataError(f"{data.folder} holds other data there")
        backend = load_backend(whole.config.backend)
        model, optimizer = whole.model, whole.optimizer
        reading = Reading(whole.reader_threads)
        self.bench = Bench(whole.config, data, model, optimizer, backend, reading)
        self.state: TrainState = state_from_arrays(whole.arrays, model, optimizer)
        self.reader = ShardReader(self.bench)
        self.version, self.used = version, time.monotonic()
        self.lock = threading.Lock()

    def play(self, order: Order) -> Answer | ScoredPiece | None:
        """Play a part; None where the state is not of its version, and cannot be."""
        with self.lock:
            if order.news is not None and self.version == order.version - 1:
                blocks = blocks_of(self.state, self.bench.model, self.bench.optimizer)
                put(blocks, order.news)
                self.version = order.version
            if self.version != order.version:
                return None
            self.used = time.monotonic()
            if isinstance(order.part, Piece):
                return score_piece(self.bench, self.state.parameters, order.part)
            self.reader.forget(order.part)
            return play(self.bench, self.state, self.reader.rows(order.part))


_DESKS: dict[str, _Desk] = {}
_GUARD = threading.Lock()


def work(
    order: Order, whole: Whole | None = None
) -> Answer | ScoredPiece | Unfit | None:
    """Play a part in this process.

    Parameters
    ----------
    order : Order
    whole : Whole or None              the state of the order's version, for a process
                                       that does not have it yet

    Returns
    -------
    Answer or ScoredPiece              or None where the process needs `whole`, or why
                                       it can do nothing for this run
    """
    if whole is not None:
        try:
            _sit_down(order, whole)
        except (DataError, OSError, ValueError) as error:
            return Unfit(f"cannot work for this run: {error}")
    desk = _DESKS.get(order.token)
    if desk is None:
        return None
    try:
        return desk.play(order)
    except BaseException:
        _DESKS.pop(order.token, None)  # its state may be half trained
        raise


def versions_here() -> dict[str, str]:
    """Name what this process is made of, as far as it decides results."""
    import numba

    import rafm_bench
    import rafm_kernels
    from rafm_datasets import cluster

    seen = cluster.look(os.devnull, ()).versions
    seen["numba"] = numba.__version__
    for package in (rafm_bench, rafm_kernels):
        folder = Path(package.__file__ or "").parent
        seen[package.__name__] = cluster.code_hash(folder)
    return seen


def _sit_down(order: Order, whole: Whole) -> None:
    """Make the desk of a run; those of runs that are over make room."""
    from rafm_datasets import cluster

    cluster.compare_versions("it", versions_here(), whole.versions)
    with _GUARD:
        now = time.monotonic()
        for token, desk in list(_DESKS.items()):
            if token == order.token or now - desk.used > IDLE_SECONDS:
                del _DESKS[token]
        _DESKS[order.token] = _Desk(whole, order.version)
