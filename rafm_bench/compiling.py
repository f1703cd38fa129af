"""Compiling what a run needs before its rows are there.

Compiling takes hundreds of megabytes that a process never gives back. Under a memory
limit it is done in a process of its own, which leaves the code on disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_bench.config import TrainConfig
from rafm_datasets import stream
from rafm_kernels import Batch, init_parameters, init_state, load_backend, make_model

if TYPE_CHECKING:
    from rafm_bench.job import Job

NOTICED = 3.0
"""Seconds of compiling that deserve a remark."""
DECIDING = ("model", "ranks", "loss", "optimizer", "dtype", "backend", "threads")
"""Options that decide which code is compiled, or that it needs to run."""
_CHILD = (
    "import sys; sys.path[:] = {path!r}; from rafm_bench.compiling import main; main()"
)


class Needed(NamedTuple):
    """Options of `DECIDING` as JSON, and the type of values, None where all are 1."""

    config: str
    values: str | None


def warm_up(job: Job) -> float:
    """Compile the backend's functions, or load them from disk; return the seconds."""
    started = time.perf_counter()
    job.report("compiling", 0, None, "")
    rows = next(stream(job.data, "train", 1))
    values = None if rows.values is None else rows.values.dtype.str
    chosen = {name: getattr(job.config, name) for name in DECIDING}
    needed = Needed(json.dumps(chosen), values)
    if job.execution.memory_limit is not None:
        _compile_elsewhere(needed)
    _compile(needed)
    seconds = time.perf_counter() - started
    if seconds > NOTICED:
        job.report.say(f"compiled in {seconds:.1f} s; later runs find it on disk")
    return seconds


def main() -> None:
    """Compile what stdin tells, for other processes to load."""
    _compile(Needed(*json.load(sys.stdin)))


@cache
def _compile_elsewhere(needed: Needed) -> None:
    """Compile in another process; one that fails leaves it to this one, which tells."""
    subprocess.run(
        [sys.executable, "-c", _CHILD.format(path=sys.path)],
        input=json.dumps(needed),
        text=True,
        capture_output=True,
        check=False,
    )


def _compile(needed: Needed) -> None:
    """Train and score a row of its own: two features of two fields suit every model."""
    config = TrainConfig(**json.loads(needed.config))
    assert config.loss is not None  # a job's config has it
    values = None if needed.values is None else np.ones(2, needed.values)
    both = np.arange(2, dtype=np.int32)
    batch = Batch(np.array([0, 2]), both, values, both, np.zeros(1, np.float32))
    loss, ranks = config.loss, config.ranks
    model = make_model(config.model, [1, 1], ranks, loss=loss, n_fields=2)
    optimizer, backend = config.make_optimizer(), load_backend(config.backend)
    parameters = init_parameters(model, 0, config.dtype)
    state = init_state(model, optimizer, parameters)
    backend.train(model, state, optimizer, batch, 1, config.threads)
    backend.scores(model, parameters, batch, config.threads)
