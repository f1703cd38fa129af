"""Workers of a Dask cluster that play the parts of a round; any of them may be lost."""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_bench.errors import RunError, UserError
from rafm_bench.shards.desk import Order, Unfit, Whole, versions_here, work
from rafm_bench.shards.placing import Attempt, Homes, Pace
from rafm_bench.shards.rounds import Part
from rafm_bench.stopping import Stop
from rafm_kernels import state_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from rafm_bench.execution import Execution
    from rafm_bench.progress import Reporter
    from rafm_bench.shards.merging import Update
    from rafm_bench.shards.pieces import Piece, ScoredPiece
    from rafm_bench.shards.rounds import Answer, Bench
    from rafm_kernels import TrainState

    Task = Part | Piece
    Reply = Answer | ScoredPiece | Unfit | None

POLL_SECONDS = 0.25
ALONE_SECONDS = 300.0  # without any worker until the run gives up
MOST_LOSSES = 3  # of one part
THREADS = 256  # that wait for answers: more workers than that take turns


class ClusterCrew:
    """Sends each part to one worker at a time, and again where no answer comes.

    A worker keeps the state of the last round that it played. It is sent what one
    update has changed since, or the whole state where it has none or lags further.
    A wish to stop ends the waiting for answers, and leaves the state as it was.

    Attributes
    ----------
    to_workers, from_workers : bytes of arrays sent and received
    seen : workers that answered
    n_redone : parts that had to be given to another worker
    """

    def __init__(
        self, cluster: Any, bench: Bench, report: Reporter, stop: Stop | None = None
    ) -> None:
        self._client, self._name = cluster.client, cluster.name
        self._bench, self._report, self._stop = bench, report, stop or Stop()
        self._token, self._version = secrets.token_hex(8), 0
        self._versions = versions_here()
        self._news: Update | None = None
        self._whole: Whole | None = None
        self._held: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._wanted: set[Task] = set()
        self._losses: dict[Task, int] = {}
        self._homes, self._pace = Homes(), Pace()
        self._running: dict[Future[Reply], Attempt] = {}
        self._threads = ThreadPoolExecutor(THREADS, "shards")
        self.to_workers = self.from_workers = self.n_redone = 0
        self.seen: set[str] = set()

    def answers(self, state: TrainState, parts: Sequence[Any]) -> list[Any]:
        """See `Crew`."""
        waiting = {part.key: part for part in parts}
        got: dict[int, Any] = {}
        self._wanted = set(parts)
        self._losses.clear()
        alone_since = None
        while len(got) < len(parts):
            self._stop.check()
            alive = self._alive()
            alone_since = self._check_not_alone(alive, alone_since)
            again = [*self._lost(alive), *self._late(alive)]
            waiting |= {part.key: part for part in again if part.key not in got}
            self._hand_out(waiting, alive, state)
            for attempt, reply in self._replies():
                key, answered = attempt.part.key, self._note(attempt, reply)
                if not self._is_wanted(attempt) or key in got:
                    continue
                if answered:
                    got[key] = reply
                    waiting.pop(key, None)
                elif not attempt.late:
                    waiting[key] = attempt.part
        self._whole = None
        return [got[part.key] for part in parts]

    def tell(self, update: Update) -> None:
        """See `Crew`."""
        self._news = update
        self._version += 1

    def close(self) -> None:
        """Leave what still runs to itself."""
        for attempt in self._running.values():
            attempt.drop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _alive(self) -> set[str]:
        """Name the workers that the scheduler takes for alive, and that fit."""
        try:
            there = set(self._client.nthreads())
        except (OSError, TimeoutError, CancelledError) as error:
            raise self._disconnected() from error
        for gone in (self._held.keys() | self._unfit.keys()) - there:
            self._held.pop(gone, None)
            self._unfit.pop(gone, None)
        alive = there - self._unfit.keys()
        self._homes.keep(alive)
        return alive

    def _is_wanted(self, attempt: Attempt) -> bool:
        """Whether it is for what is asked now, and not left over from before."""
        return attempt.version == self._version and attempt.part in self._wanted

    def _check_not_alone(self, alive: set[str], since: float | None) -> float | None:
        """Tell since when no worker is there; give up where none fits, or late."""
        if alive:
            return None
        for worker, reason in self._unfit.items():
            raise UserError(f"worker {worker} {reason}")
        if since is None:
            self._report.say(f"{self._name} has no worker left: waiting for one")
            return time.monotonic()
        waited = time.monotonic() - since
        self._report("waiting for a worker", int(waited), int(ALONE_SECONDS), "s")
        if waited > ALONE_SECONDS:
            raise RunError(
                f"{self._name} has had no worker for {ALONE_SECONDS:.0f} s; start some"
            )
        return since

    def _lost(self, alive: set[str]) -> list[Task]:
        """Drop the attempts whose worker is gone; return their parts of this round."""
        parts = []
        for future, attempt in list(self._running.items()):
            if attempt.worker in alive:
                continue
            del self._running[future]
            attempt.drop()
            if self._is_wanted(attempt) and not attempt.late:
                self._tell_again(attempt, "is gone")
                self._count_loss(attempt.part)
                parts.append(attempt.part)
        return parts

    def _late(self, alive: set[str]) -> list[Task]:
        """Return the parts of this round whose worker takes far longer than usual."""
        parts = []
        for attempt in self._running.values():
            if (
                self._is_wanted(attempt)
                and not attempt.late
                and len(alive) > 1
                and attempt.seconds > self._pace.patience(attempt)
            ):
                attempt.late = True
                self._homes.leave(attempt.worker)
                self._tell_again(attempt, f"is silent for {attempt.seconds:.0f} s")
                parts.append(attempt.part)
        return parts

    def _tell_again(self, attempt: Attempt, why: str) -> None:
        self.n_redone += 1
        self._report.say(
            f"worker {attempt.worker} {why}: another one does {attempt.part} again"
        )

    def _count_loss(self, part: Task) -> None:
        self._losses[part] = self._losses.get(part, 0) + 1
        if self._losses[part] > MOST_LOSSES:
            raise RunError(
                f"workers of {self._name} died again and again at {part}, most "
                "likely killed for want of memory; start fewer on a machine, or train "
                "a smaller model"
            )

    def _hand_out(
        self, waiting: dict[int, Task], alive: set[str], state: TrainState
    ) -> None:
        """Give every idle worker a part, if one is to be had for it."""
        busy = {attempt.worker for attempt in self._running.values()}
        for worker in sorted(alive - busy):
            shard = self._homes.choose(worker, waiting)
            if shard is not None:
                self._send(waiting.pop(shard), worker, state)

    def _send(self, part: Task, worker: str, state: TrainState) -> None:
        behind = self._version - self._held.get(worker, -2)
        news = self._news if behind == 1 else None
        whole = None
        if behind > 1 or (behind == 1 and news is None):
            whole = self._snapshot(state)
        settling = whole is not None
        if isinstance(part, Part):
            settling |= not self._homes.is_at(part.shard, worker)
            self._homes.settle(part.shard, worker)
        attempt = Attempt(part, worker, self._version, settling)
        order = Order(self._token, self._version, part, news)
        self._running[self._threads.submit(self._ask, attempt, order, whole)] = attempt
        self.to_workers += news.n_bytes if news else 0
        if whole is not None:
            self.to_workers += sum(array.nbytes for array in whole.arrays.values())

    def _snapshot(self, state: TrainState) -> Whole:
        """Copy the state, once a round, as it changes while copies are on their way."""
        if self._whole is None:
            config, data, model, optimizer, _, reading = self._bench
            arrays = {
                name: np.array(array)
                for name, array in state_arrays(state, model).items()
            }
            folder = str(data.folder.resolve())
            about = (config, folder, data.fingerprint, model, optimizer)
            self._whole = Whole(*about, arrays, self._versions, reading.n_threads)
        return self._whole

    def _ask(self, attempt: Attempt, order: Order, whole: Whole | None) -> Reply:
        """Ask one worker, in a thread of its own, and wait for the reply."""
        here: dict[str, Any] = {"workers": [attempt.worker]}
        given = []
        if whole is not None:
            given = self._client.scatter([whole], hash=False, **here)
        attempt.future = self._client.submit(work, order, *given, pure=False, **here)
        if attempt.dropped:
            attempt.drop()
        reply: Reply = attempt.future.result()
        return reply

    def _replies(self) -> Iterator[tuple[Attempt, Any]]:
        """Wait a moment for replies; an attempt that failed has None."""
        done, _ = wait(self._running, POLL_SECONDS, FIRST_COMPLETED)
        if not self._running:
            time.sleep(POLL_SECONDS)
        for future in done:
            attempt = self._running.pop(future)
            yield attempt, self._reply_of(future, attempt)

    def _reply_of(self, future: Future[Reply], attempt: Attempt) -> Reply:
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except ImportError as error:
            return Unfit(f"lacks what our tasks need ({error}); install rafm-bench")
        except (CancelledError, KilledWorker, OSError, TimeoutError) as error:
            if self._client.status != "running":
                raise self._disconnected() from error
            self._held.pop(attempt.worker, None)
            self._count_loss(attempt.part)
            return None

    def _note(self, attempt: Attempt, reply: Reply) -> bool:
        """Take note of a reply; tell whether it is an answer."""
        if isinstance(reply, Unfit):
            self._unfit[attempt.worker] = reply.reason
            self._report.say(f"worker {attempt.worker} {reply.reason}; it is left out")
        if reply is None:
            self._held.pop(attempt.worker, None)
        if reply is None or isinstance(reply, Unfit):
            return False
        self._held[attempt.worker] = attempt.version
        self._pace.note(attempt)
        self.seen.add(attempt.worker)
        self.from_workers += reply.n_bytes
        return True

    def _disconnected(self) -> RunError:
        """Return the error of a lost connection; a wish to stop goes before it."""
        self._stop.check()
        return RunError(f"the connection to {self._name} was lost")


@contextlib.contextmanager
def open_cluster(where: Execution) -> Iterator[Any]:
    """Open the workers that `where` asks for."""
    import dask

    from rafm_datasets import cluster

    opened = (
        cluster.running(where.scheduler)
        if where.scheduler is not None
        else cluster.local(where.workers)
    )
    quiet = {"distributed.admin.large-graph-warning-threshold": "1 TB"}
    with dask.config.set(quiet), opened as workers:
        yield workers
