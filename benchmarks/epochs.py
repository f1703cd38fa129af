"""Epochs of prepared click logs, 160,000 training rows of 39 fields: reading, training.

Training is a whole run of two epochs: the second one reads rows anew ("disk") or takes
those that were kept ("memory"). The memory of a tree is the sum over its processes of
the most that each has had (VmHWM), what they share counted in each.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_ROWS = 200_000
TRAIN = ["--model", "fm", "--ranks", "8", "--epochs", "2", "--patience", "0"]


class _Epochs:
    timeout = 300
    number = 1

    def setup_cache(self):
        from rafm_datasets import PrepareOptions, generate, prepare

        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        raw = generate("criteo", N_ROWS, 0, str(folder / "clicks.tsv")).path
        prepare(PrepareOptions("criteo", (raw,), str(folder / "data")))
        return str(folder / "data")


class Reader(_Epochs):
    params = [1, 2]
    param_names = ["reader threads"]

    def setup(self, folder, n_threads):
        from rafm_datasets import Reading, open_prepared

        self.data = open_prepared(folder)
        self.reading = Reading(n_threads)

    def time_epoch_in_shuffled_order(self, folder, n_threads):
        self._epoch(0)

    def time_epoch_in_file_order(self, folder, n_threads):
        self._epoch(None)

    def peakmem_epoch(self, folder, n_threads):
        self._epoch(0)

    def peakmem_nothing(self, folder, n_threads):
        """Interpreter, imports and setup: what every other peak includes."""

    def _epoch(self, seed):
        from rafm_datasets import stream

        rows = stream(self.data, "train", 16_384, seed=seed, reading=self.reading)
        return sum(len(chunk.labels) for chunk in rows)


class Training(_Epochs):
    """Whole runs of `rafm-bench train`, in a process of their own."""

    params = [["disk", "memory"]]
    param_names = ["rows in"]

    def setup(self, folder, place):
        self.out = tempfile.TemporaryDirectory()
        self.words = ["train", folder, *TRAIN, "--data-in", place]

    def teardown(self, folder, place):
        self.out.cleanup()

    def time_run_of_two_epochs(self, folder, place):
        _tree(self.words, self.out.name)

    def track_memory_of_tree(self, folder, place):
        return _tree(self.words, self.out.name)

    track_memory_of_tree.unit = "bytes"


class Workers(_Epochs):
    """Preparing in worker processes: memory of the whole tree."""

    params = [1, 2]
    param_names = ["workers"]

    def setup_cache(self):
        from rafm_datasets import generate

        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        return generate("criteo", N_ROWS, 0, str(folder / "clicks.tsv")).path

    def setup(self, raw, n_workers):
        self.out = tempfile.TemporaryDirectory()
        self.words = ["prepare", "criteo", raw, "--workers", str(n_workers)]

    def teardown(self, raw, n_workers):
        self.out.cleanup()

    def track_memory_of_tree(self, raw, n_workers):
        return _tree(self.words, self.out.name)

    track_memory_of_tree.unit = "bytes"


def _tree(words, folder):
    """Run the program; return the sum of the peaks of all its processes."""
    import psutil

    with tempfile.TemporaryDirectory(dir=folder) as made:
        words = [*words, "--out", str(Path(made, "out"))]
        process = psutil.Popen(
            [sys.executable, "-m", "rafm_bench", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peaks = {}
        while process.poll() is None:
            with contextlib.suppress(psutil.Error, OSError):
                for one in (process, *process.children(recursive=True)):
                    peaks[one.pid] = max(peaks.get(one.pid, 0), _peak(one.pid))
            time.sleep(0.05)
        if process.returncode:
            raise RuntimeError(f"{words[0]} ended with {process.returncode}")
        return sum(peaks.values())


def _peak(pid):
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
