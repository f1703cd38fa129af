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
    """What a command printed, its seconds, and its process tree's memory in bytes.

    `peak` is the most that all together had at a time, shared pages divided among them;
    `peaks` sums the most that each has had, shared pages counted in each.
    """

    printed: str
    seconds: float
    peak: int
    peaks: int


def run(*words: str, cgroup: Path | None = None, beside: Sequence[int] = ()) -> Watched:
    """Run `rafm-bench` and watch the memory of its whole process tree.

    Parameters
    ----------
    words : of the command
    cgroup : control group whose memory limit holds for it
    beside : processes that work for it, and count with all their children
    """

    def enter() -> None:
        assert cgroup is not None
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    # A file and no pipe: nobody reads a pipe while the command runs, and a full one
    # would stop it.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "rafm_bench", *words],
            stdout=printed,
            preexec_fn=enter if cgroup is not None else None,
        )
        peak, most = 0, {}
        try:
            while process.poll() is None:
                peak = max(peak, tree_bytes([process.pid, *beside], most))
                time.sleep(_SAMPLE_SECONDS)
        finally:
            process.kill()
            process.wait()
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{words[0]} ended with {process.returncode}")
        printed.seek(0)
        return Watched(printed.read(), seconds, peak, sum(most.values()))


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


def tree_bytes(pids: Iterable[int], most: dict[int, int]) -> int:
    """Return the proportional set size of processes and all their children.

    `most` keeps for each process the most that it has had in memory (VmHWM).
    """
    import psutil  # not at the top: the suites of this package are listed without it

    total = 0
    for pid in pids:
        tree: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            tree = [process, *process.children(recursive=True)]
        for one in tree:
            with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile
                most[one.pid] = max(most.get(one.pid, 0), _high_water(one.pid))
                total += one.memory_full_info().pss
    return total


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # it has ended, and waits for its parent to see it
