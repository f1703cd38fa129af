"""Which worker plays which shard, and how long an answer may take."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from rafm_bench.shards.pieces import Piece
    from rafm_bench.shards.rounds import Part

SETTLING_SECONDS = 120.0  # a worker may have to compile, and to read a window first
LEAST_SECONDS = 5.0
TIMES_LONGER = 5.0
REMEMBERED = 64


@dataclass(eq=False)
class Attempt:
    """A part that one worker was asked to play.

    `settling`: the worker begins with the run or with the shard. `late`: it took so
    long that another worker was asked too. `dropped`: its answer is not waited for.
    """

    part: Part | Piece
    worker: str
    version: int
    settling: bool
    started: float = field(default_factory=time.monotonic)
    late: bool = False
    dropped: bool = False
    future: Any = None

    @property
    def seconds(self) -> float:
        """Time since it began."""
        return time.monotonic() - self.started

    def drop(self) -> None:
        """Wait no more for the answer."""
        self.dropped = True
        if self.future is not None:
            with contextlib.suppress(Exception):  # of a connection that is gone
                self.future.cancel()


class Pace:
    """How long answers took of late, and so how long one of its kind may take."""

    def __init__(self) -> None:
        self._seconds: dict[type, deque[float]] = {}

    def note(self, attempt: Attempt) -> None:
        """Remember how long an answer took."""
        if not attempt.settling:
            some = self._seconds.setdefault(
                type(attempt.part), deque(maxlen=REMEMBERED)
            )
            some.append(attempt.seconds)

    def patience(self, attempt: Attempt) -> float:
        """Return the seconds after which another worker is asked too."""
        some = self._seconds.get(type(attempt.part))
        if attempt.settling or not some:
            return SETTLING_SECONDS
        return max(LEAST_SECONDS, TIMES_LONGER * max(some))


class Homes:
    """The worker that plays each shard: it has the rows that come next at hand."""

    def __init__(self) -> None:
        self._of: dict[int, str] = {}

    def is_at(self, shard: int, worker: str) -> bool:
        """Whether a shard is at home at a worker."""
        return self._of.get(shard) == worker

    def settle(self, shard: int, worker: str) -> None:
        """Make a worker the home of a shard."""
        self._of[shard] = worker

    def leave(self, worker: str) -> None:
        """Take all shards from a worker."""
        self._of = {shard: one for shard, one in self._of.items() if one != worker}

    def keep(self, alive: Container[str]) -> None:
        """Take all shards from the workers that are not alive."""
        self._of = {shard: one for shard, one in self._of.items() if one in alive}

    def choose(self, worker: str, waiting: Iterable[int]) -> int | None:
        """Choose a shard for an idle worker: its own, a homeless one, or one of many.

        A shard moves only where that evens the loads out: a new home reads its window
        of rows anew.
        """
        shards = sorted(waiting)
        loads = Counter(self._of.values())
        by_preference = [
            [shard for shard in shards if self.is_at(shard, worker)],
            [shard for shard in shards if shard not in self._of],
            [
                shard
                for shard in shards
                if loads[self._of.get(shard, "")] > loads[worker] + 1
            ],
        ]
        return next((some[0] for some in by_preference if some), None)
