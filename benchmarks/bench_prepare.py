"""Preparing generated click logs, whole and by its passes over a chunk of them."""

import tempfile
from pathlib import Path

from rafm_datasets import PrepareOptions, generate, prepare
from rafm_datasets.raw import resolve
from rafm_datasets.scan import Scanner
from rafm_datasets.sources import load_source
from rafm_datasets.stage import stage_chunk

N_ROWS = 200_000
CHUNK_BYTES = 64 << 20


class Prepare:
    """Times are for N_ROWS rows, about 50 MB of text."""

    timeout = 300

    def setup_cache(self):
        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        return generate("criteo", N_ROWS, 0, str(folder / "clicks.tsv")).path

    def setup(self, raw):
        self.folder = tempfile.TemporaryDirectory(dir=Path(raw).parent)
        self.out = Path(self.folder.name)
        self.options = PrepareOptions("criteo", (raw,), str(self.out / "data"))
        self.work = self.out / ".prepare"
        self.work.mkdir()
        (self.chunk,) = self._scanned()

    def teardown(self, raw):
        self.folder.cleanup()

    def _scanned(self):
        inputs = resolve(self.options.raw, (), given=False)
        source = load_source("criteo")
        scanner = Scanner(inputs, source, self.options, CHUNK_BYTES, lambda _: None)
        return list(scanner.chunks())

    def time_scan(self, raw):
        self._scanned()

    def time_parse(self, raw):
        source = load_source("criteo")
        source.parse(self.chunk.read(), self.chunk.dialect, self.options)

    def time_parse_and_count(self, raw):
        stage_chunk(self.chunk, self.options, self.work)

    def time_whole(self, raw):
        with tempfile.TemporaryDirectory(dir=self.out) as out:
            prepare(PrepareOptions("criteo", (raw,), str(Path(out, "data"))))

    def peakmem_whole(self, raw):
        self.time_whole(raw)
