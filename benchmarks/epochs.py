"""Epochs of prepared click logs, 160,000 training rows of 39 fields: reading, training.

Training is a whole run of two epochs: the second one reads rows anew ("disk") or takes
those that were kept ("memory"). The memory of a tree is the sum over its processes of
the most that each has had (VmHWM), what they share counted in each.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .program import run

N_ROWS = 200_000
TRAIN = ["--model", "fm", "--ranks", "8", "--epochs", "2", "--patience", "0"]
LIMIT = ["--memory-limit", "2GiB"]


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
    """Whole runs of `rafm-bench train` in a process of their own, and their last epoch.

    The limit leaves room for either place: it is there because it makes training plan.
    """

    params = [["disk", "memory"]]
    param_names = ["rows in"]

    def setup(self, folder, place):
        self.out = tempfile.TemporaryDirectory()
        self.words = ["train", folder, *TRAIN, *LIMIT, "--data-in", place, "--json"]

    def teardown(self, folder, place):
        self.out.cleanup()

    def time_run_of_two_epochs(self, folder, place):
        _printed(self.words, self.out.name)

    def track_second_epoch(self, folder, place):
        result = json.loads(_printed(self.words, self.out.name))
        return result["epochs"][1]["seconds"]

    def track_memory_of_tree(self, folder, place):
        return _peaks(self.words, self.out.name)

    track_second_epoch.unit = "seconds"
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
        return _peaks(self.words, self.out.name)

    track_memory_of_tree.unit = "bytes"


def _peaks(words, folder):
    """Run the program; return the sum of the peaks of all its processes."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        return run(*words, "--out", str(Path(made, "out"))).peaks


def _printed(words, folder):
    """Run the program, with nobody looking at its memory meanwhile."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        words = [*words, "--out", str(Path(made, "out"))]
        command = [sys.executable, "-m", "rafm_bench", *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
