"""The program in a process of its own: its figures, its memory, a run's model."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

_SAMPLE_SECONDS = 0.1


class Trained(NamedTuple):
    """What a run printed as JSON, its peak in bytes, the SHA-256 of its model."""

    result: dict[str, Any]
    peak: int
    model: str

    @property
    def rows_per_second(self) -> float:
        """Of the last epoch: by then the rows that are kept have been decoded."""
        return float(self.result["epochs"][-1]["rows_per_second"])


class Watched(NamedTuple):
    """What a command printed, its seconds, the peak of its process tree in bytes."""

    printed: str
    seconds: float
    peak: int


def run(*words: str, cgroup: Path | None = None, beside: Sequence[int] = ()) -> Watched:
    """Run `rafm-bench` and watch the memory of its whole process tree.

    Parameters
    ----------
    words : of the command
    cgroup : control group whose memory limit holds for it
    beside : processes that work for it, and count with all their children
    """

    def enter() -> None:
        if cgroup is not None:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "rafm_bench", *words],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=enter,
    )
    peak = 0
    try:
        while process.poll() is None:
            peak = max(peak, tree_bytes([process.pid, *beside]))
            time.sleep(_SAMPLE_SECONDS)
    finally:
        process.kill()
    seconds = time.perf_counter() - started
    assert process.stdout is not None
    printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return Watched(printed, seconds, peak)


def train(
    data: str, folder: Path, *options: str, cgroup: Path | None = None
) -> Trained:
    """Train on prepared data; the run is made in `folder`, and removed."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        out = Path(made, "run")
        words = ["train", data, "--out", str(out), "--json", *options]
        done = run(*words, cgroup=cgroup)
        with (out / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Trained(json.loads(done.printed), done.peak, digest)


def tree_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size of processes and all their children."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for one in (process, *process.children(recursive=True)):
                total += one.memory_full_info().pss
    return total
