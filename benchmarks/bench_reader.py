"""Preparing generated click logs, and reading an epoch of them."""

import tempfile
from pathlib import Path

from rafm_datasets import PrepareOptions, generate, open_prepared, prepare, stream

N_ROWS = 200_000


class Reader:
    timeout = 300

    def setup_cache(self):
        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        raw = generate("criteo", N_ROWS, 0, str(folder / "clicks.tsv")).path
        prepare(PrepareOptions("criteo", (raw,), str(folder / "data")))
        return str(folder)

    def setup(self, folder):
        self.raw = str(Path(folder, "clicks.tsv"))
        self.data = open_prepared(Path(folder, "data"))

    def _epoch(self, seed):
        rows = (chunk.labels for chunk in stream(self.data, "train", 16_384, seed=seed))
        return sum(map(len, rows))

    def time_epoch_in_shuffled_order(self, folder):
        self._epoch(0)

    def time_epoch_in_file_order(self, folder):
        self._epoch(None)

    def time_prepare(self, folder):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            prepare(PrepareOptions("criteo", (self.raw,), str(Path(out, "data"))))

    def peakmem_epoch(self, folder):
        self._epoch(0)

    def peakmem_nothing(self, folder):
        """Interpreter, imports and setup: what every other peak includes."""
