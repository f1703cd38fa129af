"""Shards on hosts that are apart: the same model, also where hosts and cables break."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from rafm_bench.config import TrainConfig
from rafm_bench.execution import Execution
from rafm_bench.progress import Silent
from rafm_bench.run import MODEL
from rafm_bench.train import train
from tests.dask_processes import scheduler_and_workers
from tests.hosts import missing, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from rafm_datasets import PreparedData
    from tests.dask_processes import Processes
    from tests.hosts import Network

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(
    ranks=(2, 8), batch_size=32, shards=3, round_rows=256, seed=1, epochs=2
)
WORDS = [
    *("--ranks", "2,8", "--batch-size", "32", "--seed", "1"),
    *("--shards", "3", "--round-rows", "256", "--epochs", "2"),
]


@pytest.fixture
def apart() -> Iterator[Network]:
    """Give a network to put hosts on."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def expected(
    many_groups: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """Give the model file of the same training in this process alone."""
    out = tmp_path_factory.mktemp("here") / "run"
    return (train(CONFIG, many_groups, out, Silent()).folder / MODEL).read_bytes()


def address_with(processes: Processes, n_workers: int) -> str:
    """Tell the scheduler's address as soon as it has so many workers."""
    with Client(scheduler_file=str(processes.file), set_as_default=False) as client:
        client.wait_for_workers(n_workers, timeout=60)
    address: str = json.loads(processes.file.read_text())["address"]
    return address


def test_the_command_line_on_hosts_of_their_own_writes_the_model_of_one_process(
    apart: Network, many_groups: PreparedData, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with scheduler_and_workers(tmp_path, 2, apart.place) as processes:
        where = ("--scheduler", address_with(processes, 2), "--out", str(out))
        words = ("train", str(many_groups.folder), *WORDS, *where)
        assert apart.place().start("rafm_bench", *words).wait(timeout=120) == 0
    assert (out / MODEL).read_bytes() == expected


class Trouble(Silent):
    """After three rounds freezes two of three workers, and adds one.

    As soon as both have a part of the next round, so that this cannot end without
    them, one is killed, and the network of the other is cut before it may go on.
    """

    def __init__(self, apart: Network, processes: Processes) -> None:
        self.apart, self.processes = apart, processes
        self.address = address_with(processes, 3)
        self.killed, self.cut = apart.places[1:3]
        self.said: list[str] = []
        self.n_rounds = 0
        self.over = threading.Event()
        self.thread = ThreadPoolExecutor(1)
        self.strike: Future[None] | None = None

    def __call__(self, stage: str, *_: Any, **__: Any) -> None:
        self.n_rounds += stage == "epoch 1/2"
        if self.n_rounds == 3 and self.strike is None:
            for worker in self.processes.workers[:2]:
                worker.send_signal(signal.SIGSTOP)
            self.processes.add_worker()
            address_with(self.processes, 4)
            self.strike = self.thread.submit(self._strike)

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        """Wait for the strike, and raise what it raised."""
        self.over.set()
        self.thread.shutdown()
        assert self.strike is not None
        self.strike.result()

    def _strike(self) -> None:
        with Client(self.address, set_as_default=False) as client:
            while not self._have_parts(client.processing()) and not self.over.is_set():
                time.sleep(0.05)
        killed, cut = self.processes.workers[:2]
        killed.kill()
        self.apart.cut(self.cut)
        cut.send_signal(signal.SIGCONT)

    def _have_parts(self, tasks: dict[str, Any]) -> bool:
        busy = [host_of(worker) for worker, some in tasks.items() if some]
        return self.killed.address in busy and self.cut.address in busy


def host_of(worker: str) -> str:
    """Tell the address of the host in a worker's."""
    return worker.removeprefix("tcp://").rpartition(":")[0]


def test_a_worker_killed_one_cut_off_and_one_added_within_a_round_change_no_byte(
    apart: Network, many_groups: PreparedData, expected: bytes, tmp_path: Path
) -> None:
    with scheduler_and_workers(tmp_path, 3, apart.place) as processes:
        trouble = Trouble(apart, processes)
        where = Execution(scheduler=trouble.address)
        with contextlib.closing(trouble):
            run = train(CONFIG, many_groups, tmp_path / "run", trouble, where)
        assert processes.workers[0].wait() == -signal.SIGKILL
        assert processes.workers[1].poll() is None
    assert (run.folder / MODEL).read_bytes() == expected
    exchange = run.result.exchange
    assert exchange is not None
    assert exchange.n_redone >= 2
    hosts = sorted(place.address for place in apart.places[1:])
    assert sorted(map(host_of, exchange.workers)) == hosts
    again = [text for text in trouble.said if text.endswith("again")]
    for lost in (trouble.killed, trouble.cut):
        assert any(f"worker tcp://{lost.address}:" in text for text in again)
