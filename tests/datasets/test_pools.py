"""Where tasks run: the same bytes everywhere, and what is told when it cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DataError, PrepareOptions, cluster, prepare
from rafm_datasets.execute import run_tasks
from rafm_datasets.pools import open_pool
from tests.dask_processes import scheduler_and_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.dask_processes import Processes

    Write = Callable[..., Path]

CHUNK = 8192
NO_PORT = "127.0.0.1:0"  # any that is free


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch, small_groups: None) -> None:
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (CHUNK, CHUNK))


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def options(raw: Path, out: Path, **where: object) -> PrepareOptions:
    return PrepareOptions("libfm", (str(raw),), str(out), **where)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a cluster within this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=NO_PORT
    ) as workers:
        yield workers.scheduler_address


def fail(number: int, meet: threading.Barrier | None = None) -> int:
    if meet is not None:
        meet.wait(10)
    if number % 2:
        raise DataError(f"task {number}")
    return number


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_first_mistake_in_order_is_told_whoever_is_faster(threads: int) -> None:
    both = threading.Barrier(2)
    tasks = [partial(fail, 3), partial(fail, 1)]
    if threads > 1:
        tasks = [partial(fail, 3, both), partial(fail, 1, both)]
    with (
        open_pool(PrepareOptions("libfm", ("x",), "out", threads=threads)) as pool,
        pytest.raises(DataError, match="task 3"),
    ):
        run_tasks(tasks, pool, lambda *_: None)


def test_a_mistake_met_while_tasks_are_made_comes_after_those_made_before() -> None:
    def made(first: int) -> Iterator[Callable[[], int]]:
        yield partial(fail, first)
        raise DataError("the file ends")

    with open_pool(PrepareOptions("libfm", ("x",), "out", threads=2)) as pool:
        for first, message in ((1, "task 1"), (2, "the file ends")):
            with pytest.raises(DataError, match=message):
                run_tasks(made(first), pool, lambda *_: None)


def test_results_come_in_order_and_few_tasks_are_made_ahead() -> None:
    n_made = n_done = most_ahead = 0

    def made() -> Iterator[Callable[[], int]]:
        nonlocal n_made, most_ahead
        for number in range(0, 100, 2):
            n_made += 1
            most_ahead = max(most_ahead, n_made - n_done)
            yield partial(fail, number)

    def count(number: int, result: int) -> None:
        nonlocal n_done
        assert result == 2 * number
        n_done += 1

    with open_pool(PrepareOptions("libfm", ("x",), "out", threads=3)) as pool:
        assert run_tasks(made(), pool, count) == list(range(0, 100, 2))
    assert most_ahead <= 2 * 3 + 1


@pytest.mark.usefixtures("many_chunks")
def test_threads_and_a_cluster_write_the_same_bytes(
    scheduler: str, write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(1000)
    places: dict[str, dict[str, object]] = {
        "one": {"threads": 1},
        "three": {"threads": 3, "memory_limit": 1 << 30},
        "cluster": {"scheduler": scheduler},
    }
    trees = {
        name: tree(prepare(options(raw, tmp_path / name, **where)).folder)
        for name, where in places.items()
    }
    assert trees["one"] == trees["three"] == trees["cluster"]


@pytest.mark.slow
@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_write_the_same_bytes_wherever_they_are_started(
    workers: int,
    write_libfm: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = write_libfm(1000)
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    relative = PrepareOptions(
        "libfm", (os.path.relpath(raw),), "processes", workers=workers
    )
    by_processes = prepare(relative)
    assert dict(os.environ) == environment
    by_threads = prepare(options(raw, tmp_path / "threads"))
    assert tree(tmp_path / "processes") == tree(by_threads.folder)
    assert by_processes.manifest == by_threads.manifest


@pytest.mark.slow
@pytest.mark.usefixtures("many_chunks")
def test_a_worker_killed_in_each_stage_changes_no_byte(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(2000)
    killed: set[str] = set()

    def kill(stage: str, done: int, total: int | None, unit: str) -> None:
        if done and stage not in killed:
            killed.add(stage)
            pids = subprocess.check_output(
                ["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"], text=True
            ).split()
            os.kill(int(pids[-1]), signal.SIGKILL)

    prepare(options(raw, tmp_path / "out", workers=2), kill)
    assert {"parse", "merge", "number", "encode", "write"} <= killed
    straight = prepare(options(raw, tmp_path / "straight"))
    assert tree(tmp_path / "out") == tree(straight.folder)


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[Processes]:
    """A scheduler and two workers, each a process of its own without a nanny."""
    with scheduler_and_workers(tmp_path, 2) as processes:
        yield processes


@pytest.mark.slow
@pytest.mark.usefixtures("many_chunks")
def test_a_cluster_that_loses_a_worker_writes_the_same_bytes(
    two_workers: Processes,
    write_libfm: Write,
    tmp_path: Path,
) -> None:
    from distributed import Client

    file, victim = two_workers.file, two_workers.workers[-1]
    with Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
    address = json.loads(file.read_text())["address"]
    raw = write_libfm(2000)

    def kill(stage: str, done: int, total: int | None, unit: str) -> None:
        if done:
            victim.kill()

    prepare(options(raw, tmp_path / "out", scheduler=address), kill)
    assert victim.wait() == -signal.SIGKILL
    straight = prepare(options(raw, tmp_path / "straight"))
    assert tree(tmp_path / "out") == tree(straight.folder)


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_told_in_one_sentence() -> None:
    with (
        open_pool(PrepareOptions("libfm", ("x",), "out", workers=1)) as pool,
        pytest.raises(ChildProcessError, match="lower --memory-limit") as caught,
    ):
        run_tasks([os.abort], pool, lambda *_: None)
    assert "\n" not in str(caught.value)


def test_no_scheduler_at_an_address_is_told_with_the_address(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(9)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for address in (nobody, "nonsense", "nonsense://x:1"):
        with pytest.raises(DataError, match=f"no Dask scheduler at {address}; check"):
            prepare(options(raw, tmp_path / "out", scheduler=address))
    assert not (tmp_path / "out").exists()


def test_a_cluster_without_workers_is_told(write_libfm: Write, tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, processes=False, dashboard_address=NO_PORT) as empty:
        there = {"scheduler": empty.scheduler_address}
        with pytest.raises(DataError, match="has no workers; start some"):
            prepare(options(write_libfm(9), tmp_path / "out", **there))


HERE = cluster.Sight("host", {"polars": "2.1.0"}, "token", ())


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (
            HERE._replace(versions={"polars": "1.9"}),
            "has polars 1.9, but this .* 2.1.0",
        ),
        (HERE._replace(token=None), "does not see the folder given as --out"),
        (HERE._replace(token="older"), "does not see the folder given as --out"),
        (HERE._replace(missing=("/raw.tsv",)), "cannot read /raw.tsv"),
    ],
)
def test_a_worker_that_cannot_do_our_tasks_is_named(
    there: cluster.Sight,
    reason: str,
    scheduler: str,
    write_libfm: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []

    def look(token: str, raw: tuple[str, ...]) -> cluster.Sight:
        calls.append(raw)
        return HERE if threading.current_thread() is threading.main_thread() else there

    monkeypatch.setattr(cluster, "look", look)
    with pytest.raises(DataError, match=f"worker .* on host {reason}"):
        prepare(options(write_libfm(50), tmp_path / "out", scheduler=scheduler))


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"threads": 2, "workers": 2}, "threads and workers cannot be given together"),
        ({"threads": 2, "scheduler": "a"}, "threads and scheduler cannot be given"),
        ({"workers": 2, "scheduler": "a"}, "workers and scheduler cannot be given"),
        ({"threads": 0}, "threads must be 1 or more, got 0"),
        ({"workers": -1}, "workers must be 1 or more, got -1"),
    ],
)
def test_places_that_exclude_one_another_are_told(
    where: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=reason):
        options(tmp_path, tmp_path, **where)
