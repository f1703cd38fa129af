"""Shards on workers: the same bits for any number of them, and for any that is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, LocalCluster

from rafm_bench.config import TrainConfig
from rafm_bench.engine import open_engine
from rafm_bench.errors import Interrupted, UserError
from rafm_bench.evaluate import evaluate, predict
from rafm_bench.execution import Execution
from rafm_bench.job import make_job
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import MODEL, PROGRESS
from rafm_bench.shards import crew, desk, placing
from rafm_bench.shards.rounds import play
from rafm_bench.train import train
from rafm_datasets import DataError, Reading
from rafm_kernels import init_parameters, init_state
from tests.dask_processes import scheduler_and_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rafm_bench.job import Job
    from rafm_bench.run import Run
    from rafm_bench.shards.rounds import Bench
    from rafm_datasets import PreparedData

N_SHARDS = 3


class Told(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def job_of(data: PreparedData, **where: Any) -> Job:
    config = TrainConfig(
        ranks=(2, 8), batch_size=32, shards=N_SHARDS, round_rows=256, seed=1
    )
    return make_job(config, data, Told(), Execution(**where))


def nothing(number: int) -> None:
    pass


def two_epochs(job: Job, each_round: Callable[[int], None] = nothing) -> bytes:
    """Train; give the bits of the state and of every loss."""
    parameters = init_parameters(job.model, job.config.seed, job.config.dtype)
    state = init_state(job.model, job.optimizer, parameters)
    losses, number = [], 0
    with open_engine(job) as engine:
        for epoch in (1, 2):
            for advance in engine.train(job, state, epoch, 0):
                losses.append(advance.loss_sum)
                each_round(number)
                number += 1
    assert number >= 2 * 4
    arrays = [array for part in state[:3] for array in part]
    return b"".join(array.tobytes() for array in arrays) + repr(losses).encode()


@pytest.fixture(scope="module")
def expected(many_groups: PreparedData) -> bytes:
    """What comes of the same training in this process alone."""
    return two_epochs(job_of(many_groups))


@contextmanager
def threads(n_workers: int) -> Iterator[str]:
    """Address of a cluster within this process."""
    with LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
    ) as workers:
        yield workers.scheduler_address


@pytest.mark.parametrize("n_workers", [1, 2, 3, 4])
def test_any_number_of_workers_trains_the_same_bits(
    n_workers: int, many_groups: PreparedData, expected: bytes
) -> None:
    with threads(n_workers) as address:
        assert two_epochs(job_of(many_groups, scheduler=address)) == expected


def test_a_worker_that_loses_its_state_is_given_it_anew(
    many_groups: PreparedData, expected: bytes
) -> None:
    def forget(number: int) -> None:
        desk._DESKS.clear()

    with threads(2) as address:
        job = job_of(many_groups, scheduler=address)
        assert two_epochs(job, forget) == expected


def test_a_part_that_takes_far_longer_than_usual_is_given_to_another_worker(
    many_groups: PreparedData, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "SETTLING_SECONDS", 0.0)
    monkeypatch.setattr(placing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(placing, "TIMES_LONGER", 0.0)
    monkeypatch.setattr(crew, "POLL_SECONDS", 0.0)
    with threads(4) as address:
        job = job_of(many_groups, scheduler=address)
        assert two_epochs(job) == expected
    assert any("is silent for" in text for text in job.report.said)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_local_worker_killed_between_rounds_changes_no_bit(
    many_groups: PreparedData, expected: bytes
) -> None:
    def kill(number: int) -> None:
        if number == 1:
            workers = subprocess.check_output(
                ["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"], text=True
            ).split()
            os.kill(int(workers[-1]), signal.SIGKILL)

    assert two_epochs(job_of(many_groups, workers=2), kill) == expected


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_and_wins_another_between_rounds_trains_the_same(
    many_groups: PreparedData, expected: bytes, tmp_path: Path
) -> None:
    with scheduler_and_workers(tmp_path, 2) as processes:
        with Client(scheduler_file=str(processes.file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=30)
        address = json.loads(processes.file.read_text())["address"]

        def change(number: int) -> None:
            if number == 1:
                processes.workers[0].kill()
            if number == 2:
                processes.add_worker()
                with Client(address, set_as_default=False) as client:
                    client.wait_for_workers(2, timeout=30)

        job = job_of(many_groups, scheduler=address)
        assert two_epochs(job, change) == expected
        assert processes.workers[0].wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fingerprint": "other"}, "holds other data there"),
        ({"folder": "/nowhere"}, "cannot work for this run: /nowhere"),
        ({"versions": {"numba": "0.1"}}, "has numba .*, but this process has 0.1"),
    ],
)
def test_a_worker_that_cannot_work_for_a_run_is_named_with_the_reason(
    change: dict[str, Any],
    reason: str,
    many_groups: PreparedData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = crew.ClusterCrew._snapshot

    def changed(self: Any, state: Any) -> desk.Whole:
        return sent(self, state)._replace(**change)

    monkeypatch.setattr(crew.ClusterCrew, "_snapshot", changed)
    with threads(1) as address:
        job = job_of(many_groups, scheduler=address)
        with pytest.raises(UserError, match=f"worker .*{reason}"):
            two_epochs(job)


def test_no_scheduler_at_an_address_is_told(many_groups: PreparedData) -> None:
    with pytest.raises(DataError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        two_epochs(job_of(many_groups, scheduler="tcp://127.0.0.1:9"))


class Stranded(Told):
    """Sends the workers away, and wishes to stop when they are waited for."""

    def __init__(self, workers: LocalCluster) -> None:
        super().__init__()
        self.workers = workers

    def __call__(self, stage: str, *_: Any, **__: Any) -> None:
        if stage == "waiting for a worker":
            signal.raise_signal(signal.SIGTERM)
        elif stage != "compiling":
            self.workers.scale(0)


def test_a_wish_to_stop_is_heard_while_there_is_no_worker(
    many_groups: PreparedData, tmp_path: Path
) -> None:
    config = replace(job_of(many_groups).config, epochs=3, patience=0)
    here = train(config, many_groups, tmp_path / "here", Silent())
    with LocalCluster(
        n_workers=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as workers:
        where, stranded = Execution(scheduler=workers.scheduler_address), tmp_path / "x"
        with pytest.raises(Interrupted, match="go on with"):
            train(config, many_groups, stranded, Stranded(workers), where)
    resumed = resume(stranded, None, Silent())
    assert (here.folder / MODEL).read_bytes() == (resumed.folder / MODEL).read_bytes()


def test_workers_read_with_as_many_threads_as_are_asked_for(
    many_groups: PreparedData, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def noted(bench: Bench, *part: Any) -> Any:
        seen.add(bench.reading.n_threads)
        return play(bench, *part)

    monkeypatch.setattr(desk, "play", noted)
    with threads(2) as address:
        job = job_of(many_groups, scheduler=address)
        assert two_epochs(replace(job, reading=Reading(3))) == expected
    assert seen == {3}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 rows, pieces of 128, three of them asked for together."""
    for module in ("scoring", "shards.pieces"):
        monkeypatch.setattr(f"rafm_bench.{module}.CHUNK_ROWS", 64)
    monkeypatch.setattr("rafm_bench.shards.pieces.PIECE_ROWS", 128)
    monkeypatch.setattr("rafm_bench.shards.pieces.AT_ONCE", 3)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("with_levels", [False, True])
def test_workers_find_the_scores_of_one_machine(
    rafm_run: Run, tmp_path: Path, with_levels: bool
) -> None:
    def done(where: Execution, out: Path) -> tuple[object, int]:
        split, quiet = "train", Silent()
        return (
            evaluate(rafm_run, None, "valid", quiet, where, with_levels=with_levels),
            predict(rafm_run, None, split, out, quiet, where, with_levels=with_levels),
        )

    with threads(2) as address:
        there = done(Execution(scheduler=address), tmp_path / "there")
    assert there == done(Execution(), tmp_path / "here")
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_run_on_workers_is_the_run_of_one_machine_and_names_its_workers(
    many_groups: PreparedData, tmp_path: Path
) -> None:
    config = replace(job_of(many_groups).config, epochs=2)
    here = train(config, many_groups, tmp_path / "here", Silent())
    with threads(2) as address:
        where = Execution(scheduler=address)
        there = train(config, many_groups, tmp_path / "there", Silent(), where)
    assert (here.folder / MODEL).read_bytes() == (there.folder / MODEL).read_bytes()
    assert [one.valid for one in here.result.epochs] == [
        one.valid for one in there.result.epochs
    ]
    alone, shared = here.result.exchange, there.result.exchange
    assert alone is not None
    assert shared is not None
    assert len(shared.workers) == 2
    assert alone == replace(shared, workers=())
    assert alone.rounds >= 2 * 4
    lines = (there.folder / PROGRESS).read_text(encoding="ascii").splitlines()
    assert len(lines) == 1 + alone.rounds


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("stage", ["play", "score_piece"])
def test_ctrl_c_is_seen_while_no_worker_answers_and_the_run_goes_on_later(
    stage: str,
    many_groups: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a round, and in validation: the workers answer when the run is over."""
    config = replace(job_of(many_groups).config, epochs=2)
    straight = train(config, many_groups, tmp_path / "straight", Silent())
    expected = (straight.folder / MODEL).read_bytes()
    real, asked, over = getattr(desk, stage), count(), threading.Event()

    def silent_from_the_fifth(*arguments: Any) -> Any:
        number = next(asked)
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)
        if number >= 4:
            assert over.wait(60)
        return real(*arguments)

    with threads(2) as address, monkeypatch.context() as patch:
        patch.setattr(desk, stage, silent_from_the_fifth)
        where = Execution(scheduler=address)
        try:
            with pytest.raises(Interrupted, match="go on with"):
                train(config, many_groups, tmp_path / "run", Silent(), where)
        finally:
            over.set()
    resumed = resume(tmp_path / "run", None, Silent())
    assert (resumed.folder / MODEL).read_bytes() == expected


def test_ctrl_c_goes_before_a_lost_connection_and_leaves_a_checkpoint(
    many_groups: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = replace(job_of(many_groups).config, epochs=1), count()
    straight = train(config, many_groups, tmp_path / "straight", Silent())
    expected = (straight.folder / MODEL).read_bytes()
    real = Client.nthreads

    def lost_at_the_fifth(client: Client) -> Any:
        if next(asked) == 4:
            signal.raise_signal(signal.SIGINT)
            raise OSError
        return real(client)

    with threads(2) as address, monkeypatch.context() as patch:
        patch.setattr(Client, "nthreads", lost_at_the_fifth)
        where = Execution(scheduler=address)
        with pytest.raises(Interrupted, match="go on with"):
            train(config, many_groups, tmp_path / "run", Silent(), where)
    resumed = resume(tmp_path / "run", None, Silent())
    assert (resumed.folder / MODEL).read_bytes() == expected


@pytest.mark.slow
def test_a_client_killed_between_rounds_is_resumed_with_the_same_bits(
    many_groups: PreparedData, tmp_path: Path
) -> None:
    config = replace(job_of(many_groups).config, epochs=2)
    straight = train(config, many_groups, tmp_path / "straight", Silent())
    with scheduler_and_workers(tmp_path, 2) as processes:
        with Client(scheduler_file=str(processes.file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=30)
        address = json.loads(processes.file.read_text())["address"]
        words = ["train", str(many_groups.folder), "--out", str(tmp_path / "run")]
        words += ["--ranks", "2,8", "--batch-size", "32", "--seed", "1"]
        words += ["--shards", "3", "--round-rows", "256", "--epochs", "2"]
        words += ["--checkpoint-every", "1steps", "--scheduler", address]
        lost = program(*words)
        log = tmp_path / "run" / PROGRESS
        while not log.is_file() or len(log.read_bytes().splitlines()) < 4:
            assert lost.poll() is None
            time.sleep(0.01)
        lost.kill()
        lost.wait()
        words = ["train", "--resume", str(tmp_path / "run"), "--scheduler", address]
        assert program(*words).wait(timeout=60) == 0
    resumed = tmp_path / "run" / MODEL
    assert resumed.read_bytes() == (straight.folder / MODEL).read_bytes()


def program(*words: str) -> subprocess.Popen[bytes]:
    """Start `rafm-bench` as a process of its own."""
    command = [sys.executable, "-m", "rafm_bench", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
