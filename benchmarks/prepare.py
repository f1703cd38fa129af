"""Preparing generated raw logs: whole per source, and by the passes over a chunk.

Times are for N_ROWS rows: rows a second is N_ROWS over the time.
"""

import math
import tempfile
import time
from pathlib import Path

SOURCES = ["criteo", "avazu", "movielens"]
N_ROWS = 200_000
CHUNK_BYTES = 64 << 20


class _Prepare:
    params = [SOURCES]
    param_names = ["source"]
    number = 1
    timeout = 300

    def setup_cache(self):
        from rafm_datasets import generate

        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        return {
            source: generate(source, N_ROWS, 0, str(folder / f"{source}.raw")).path
            for source in SOURCES
        }

    def setup(self, raw, source):
        from rafm_datasets import PrepareOptions

        self.folder = tempfile.TemporaryDirectory(dir=Path(raw[source]).parent)
        self.out = Path(self.folder.name)
        self.options = PrepareOptions(source, (raw[source],), str(self.out / "data"))

    def teardown(self, raw, source):
        self.folder.cleanup()


class Whole(_Prepare):
    def time_prepare(self, raw, source):
        self._prepare()

    def peakmem_prepare(self, raw, source):
        self._prepare()

    def peakmem_nothing(self, raw, source):
        """Interpreter, imports and setup: what the other peak includes."""

    def _prepare(self):
        from rafm_datasets import prepare

        prepare(self.options)


class Stages(_Prepare):
    """What each stage of a whole run adds to the time, in threads as by default.

    "commit" is what follows after the last partition is written.
    """

    params = [SOURCES, ["parse", "merge", "number", "encode", "write", "commit"]]
    param_names = ["source", "stage"]

    def setup(self, raw, source, stage):
        super().setup(raw, source)

    def teardown(self, raw, source, stage):
        super().teardown(raw, source)

    def track_microseconds_a_row(self, raw, source, stage):
        return self._seconds().get(stage, math.nan) / N_ROWS * 1e6

    track_microseconds_a_row.unit = "microseconds a row"  # 10: 100,000 rows a second

    def _seconds(self):
        from rafm_datasets import prepare

        ended = {"": time.perf_counter()}

        def told(stage, *_):
            ended[stage] = time.perf_counter()

        prepare(self.options, told)
        ended["commit"] = time.perf_counter()
        return {
            stage: end - begun
            for (stage, end), begun in zip(
                list(ended.items())[1:], ended.values(), strict=False
            )
        }


class Passes(_Prepare):
    """One thread's work on one chunk: cut the text, parse it, count it."""

    def setup(self, raw, source):
        super().setup(raw, source)
        self.work = self.out / ".prepare"
        self.work.mkdir()
        self.chunk = self._scan()[0]

    def time_scan(self, raw, source):
        self._scan()

    def time_parse(self, raw, source):
        from rafm_datasets.sources import load_source

        chunk = self.chunk
        load_source(source).parse(chunk.read(), chunk.dialect, self.options)

    def time_parse_and_count(self, raw, source):
        from rafm_datasets.stage import stage_chunk

        stage_chunk(self.chunk, self.options, self.work)

    def _scan(self):
        from rafm_datasets.raw import resolve
        from rafm_datasets.scan import Scanner
        from rafm_datasets.sources import load_source

        source = load_source(self.options.source)
        inputs = resolve(self.options.raw, (), given=False)
        scanner = Scanner(inputs, source, self.options, CHUNK_BYTES, lambda _: None)
        return list(scanner.chunks())
