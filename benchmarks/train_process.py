"""A training run in a process of its own: its figures, its memory, its model."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
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


def train(
    data: str, folder: Path, *options: str, cgroup: Path | None = None
) -> Trained:
    """Run `rafm-bench train` and watch the memory of its whole process tree.

    Parameters
    ----------
    data : folder of prepared data
    folder : where runs are made, and removed
    options : flags of the command
    cgroup : control group whose memory limit holds for it
    """

    def enter() -> None:
        if cgroup is not None:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    with tempfile.TemporaryDirectory(dir=folder) as made:
        run = Path(made, "run")
        words = [sys.executable, "-m", "rafm_bench", "train", data, "--out", str(run)]
        process = subprocess.Popen(
            [*words, "--json", *options],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=enter,
        )
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, _tree_bytes(process.pid))
                time.sleep(_SAMPLE_SECONDS)
        finally:
            process.kill()
        assert process.stdout is not None
        printed = process.stdout.read()
        if process.returncode:
            raise SystemExit(f"train ended with {process.returncode}")
        with (run / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Trained(json.loads(printed), peak, digest)


def _tree_bytes(pid: int) -> int:
    """Proportional set size of a process and its children."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except psutil.Error:
        pass
    return total
