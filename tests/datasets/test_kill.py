"""`prepare` killed again and again: resumed, it ends with the bytes of a straight run.

The process kills itself when it has finished a number of tasks, that is, written the
files that mark them done: so every stage is met, while other tasks are under way.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rafm_datasets import (
    DataError,
    PrepareOptions,
    budget,
    generate,
    open_prepared,
    prepare,
    schema,
    vocabulary,
)
from tests.datasets.test_fuzz import hashes

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = (".json", ".histogram", ".sums", ".cuts", ".written")
THREADS = 2
PRELOADED = [
    "dask.threaded",
    "rafm_datasets.pipeline",
    "rafm_datasets.sources.movielens",
]


def run(options: PrepareOptions, deadly: int | None) -> None:
    """Prepare in small tasks; die when `deadly` of them are done."""
    budget.CHUNK_BYTES = (2000, 2000)
    schema.GROUP_ROWS = 64
    schema._GROUPS_PER_PARTITION = (1, 1)
    vocabulary._BYTES_PER_ENTRY = 1 << 20
    replace = Path.replace
    done = iter(range(10**9))

    def counted(path: Path, target: Path) -> Path:
        if is_mark(target) and next(done) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    Path.replace = counted  # type: ignore[method-assign,assignment]
    prepare(options)
    Path(f"{options.out}.count").write_text(str(next(done)))


def is_mark(path: Path) -> bool:
    return path.suffix in TASKS and path.name not in ("plan.json", "raw.json")


def marks(out: Path) -> dict[str, int]:
    """The files that mark tasks done, with their times of change."""
    found = (p for p in out.rglob("*") if is_mark(p) and p.name[0] != ".")
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in found}


@pytest.fixture(scope="module")
def in_a_process() -> Callable[..., int | None]:
    """Run in a new process that has all imported already; return its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOADED])

    def start(options: PrepareOptions, deadly: int | None = None) -> int | None:
        process = context.Process(target=run, args=(options, deadly))
        process.start()
        process.join()
        return process.exitcode

    return start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "given"),
    [(20, {}), (6, {"split": "time", "period": "12w"})],
    ids=["random", "time"],
)
def test_a_run_killed_at_many_moments_ends_with_the_same_bytes(
    kills: int,
    given: dict[str, Any],
    in_a_process: Callable[..., int | None],
    tmp_path: Path,
) -> None:
    raw = tmp_path / "ratings.dat"
    generate("movielens", 600, 1, str(raw))

    def options(out: str) -> PrepareOptions:
        where = ((str(raw),), str(tmp_path / out))
        return PrepareOptions("movielens", *where, threads=THREADS, **given)

    assert in_a_process(options("straight")) == 0
    n_tasks = int((tmp_path / "straight.count").read_text())
    moments = sorted(random.Random(0).sample(range(1, n_tasks), kills))
    out = tmp_path / "out"
    before: dict[str, int] = {}
    for moment in moments:
        assert in_a_process(options("out"), moment - len(before)) == -signal.SIGKILL
        after = marks(out)
        assert [name for name in before if after.get(name) != before[name]] == []
        assert moment <= len(after) < moment + THREADS
        before = after
        with pytest.raises(DataError, match="half-written"):
            open_prepared(out)
    assert {Path(name).suffix for name in before} == set(TASKS)
    assert in_a_process(options("out")) == 0
    assert hashes(open_prepared(out)) == hashes(open_prepared(tmp_path / "straight"))


def test_what_a_run_killed_at_its_very_end_leaves_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = tmp_path / "ratings.dat", tmp_path / "out"
    generate("movielens", 100, 1, str(raw))
    options = PrepareOptions("movielens", (str(raw),), str(out))
    with monkeypatch.context() as patch:
        patch.setattr("rafm_datasets.pipeline.tidy", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            prepare(options)
    assert (out / ".prepare").is_dir()
    assert prepare(options) == open_prepared(out)
    assert sorted(path.name for path in out.iterdir()) == [
        "frequencies.parquet",
        "manifest.json",
        "test",
        "train",
        "valid",
    ]


HOLDER = """
import sys
from rafm_datasets import PrepareOptions, prepare

def wait(*_):
    print("begun", flush=True)
    sys.stdin.read()

prepare(PrepareOptions("movielens", (sys.argv[1],), sys.argv[2]), wait)
"""


def test_a_second_run_is_told_who_holds_the_folder_and_a_dead_one_holds_nothing(
    tmp_path: Path,
) -> None:
    raw, out = tmp_path / "ratings.dat", tmp_path / "out"
    generate("movielens", 100, 1, str(raw))
    command = [sys.executable, "-c", HOLDER, str(raw), str(out)]
    pipe = subprocess.PIPE
    again = ["prepare", "movielens", str(raw), "--out", str(out)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "begun\n"
        code, message = explain_of(again)
        holder.kill()
    assert code == 2
    who = f"process {holder.pid} on {socket.gethostname()}"
    assert f"{out} is being prepared by {who}; wait for it" in message
    assert "process" in (out / ".prepare" / "lock").read_text()
    assert explain_of(again) == (0, "")
    assert open_prepared(out).rows("train") > 0


def explain_of(arguments: list[str]) -> tuple[int, str]:
    """Run the program; give its exit code and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "rafm_bench", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stderr if done.returncode else ""
    return done.returncode, said
