"""Training killed at any moment: resumed, it ends with the bytes of an unbroken run.

The process kills itself at a seeded one of the moments in between two things that it
does: a batch trained, a chunk scored, bytes written, a file synced or renamed.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench import best, engine, scoring, staging, tensor_file
from rafm_bench.config import TrainConfig
from rafm_bench.execution import Execution
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import MODEL, read_run
from rafm_bench.train import train
from rafm_datasets import open_prepared
from tests.rafm_bench.conftest import prepare_libfm

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = TrainConfig(
    ranks=(2, 4), epochs=3, batch_size=10, backend="numpy", learning_rate=0.5
)
KILLS = 10


class Moments(Silent):
    """Counts moments; the process dies at the one with the number `deadly`."""

    def __init__(self, deadly: int) -> None:
        self.deadly, self.passed = deadly, 0

    def __call__(self, *_: Any, **__: Any) -> None:
        if self.passed == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def before(self, place: Any, name: str) -> None:
        """Count the calls of a function."""
        real = getattr(place, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self()
            return real(*arguments, **named)

        setattr(place, name, counted)


def run(data: Path, out: Path, deadly: int, in_memory: int) -> None:
    """Train, or go on, until the end or the deadly moment."""
    moments = Moments(deadly)
    for module, name, value in (
        (engine, "CHUNK_ROWS", 100),
        (scoring, "CHUNK_ROWS", 25),
        (tensor_file, "_BLOCK", 512),
        (best, "IN_MEMORY", in_memory),
    ):
        setattr(module, name, value)
    moments.before(staging, "sync")
    moments.before(Path, "replace")
    moments.before(Path, "rename")
    moments.before(Path, "unlink")
    blocks = tensor_file._blocks

    def counted(array: Any) -> Any:
        for block in blocks(array):
            moments()
            yield block

    tensor_file._blocks = counted
    how = Execution(checkpoint_every="1steps")
    if out.exists():
        resume(out, None, moments, how)
    else:
        train(CONFIG, open_prepared(data), out, moments, how)
    out.with_suffix(".count").write_text(str(moments.passed), encoding="ascii")


@pytest.fixture(scope="module")
def in_a_process() -> Callable[..., int | None]:
    """Run in a new process that has all imported already; return its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def start(*arguments: Any) -> int | None:
        process = context.Process(target=run, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    return start


@pytest.mark.slow
def test_a_run_killed_at_many_moments_ends_with_the_same_bytes(
    in_a_process: Callable[..., int | None], tmp_path: Path
) -> None:
    """Killed twice, with the best parameters kept in memory or on disk."""
    data = prepare_libfm(tmp_path, n_rows=500)
    straight = tmp_path / "straight"
    assert in_a_process(data, straight, -1, 0) == 0
    n_moments = int((tmp_path / "straight.count").read_text(encoding="ascii"))
    assert n_moments > 20 * KILLS
    generator = random.Random(0)
    for number, moment in enumerate(generator.sample(range(n_moments // 2), KILLS)):
        out, in_memory = tmp_path / str(moment), (0, 1 << 26)[number % 2]
        assert in_a_process(data, out, moment, in_memory) == -signal.SIGKILL
        again = generator.randrange(n_moments - moment)
        assert in_a_process(data, out, again, in_memory) in (0, -signal.SIGKILL)
        assert in_a_process(data, out, -1, in_memory) == 0
        assert (out / MODEL).read_bytes() == (straight / MODEL).read_bytes()
        assert read_run(out).result.test == read_run(straight).result.test
        names = [sorted(p.name for p in one.iterdir()) for one in (out, straight)]
        assert names[0] == names[1]
