"""Reading an epoch of prepared click logs: 160,000 training rows of 39 fields."""

import tempfile
from pathlib import Path

N_ROWS = 200_000


class Reader:
    timeout = 300
    number = 1

    def setup_cache(self):
        from rafm_datasets import PrepareOptions, generate, prepare

        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        raw = generate("criteo", N_ROWS, 0, str(folder / "clicks.tsv")).path
        prepare(PrepareOptions("criteo", (raw,), str(folder / "data")))
        return str(folder / "data")

    def setup(self, folder):
        from rafm_datasets import open_prepared

        self.data = open_prepared(folder)

    def time_epoch_in_shuffled_order(self, folder):
        self._epoch(0)

    def time_epoch_in_file_order(self, folder):
        self._epoch(None)

    def peakmem_epoch(self, folder):
        self._epoch(0)

    def peakmem_nothing(self, folder):
        """Interpreter, imports and setup: what every other peak includes."""

    def _epoch(self, seed):
        from rafm_datasets import stream

        return sum(
            len(rows.labels) for rows in stream(self.data, "train", 16_384, seed=seed)
        )
