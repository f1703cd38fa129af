"""Time the whole of `prepare` against bare Polars on one file, taking turns.

    python benchmarks/prepare_vs_polars.py --rows 1000000 --rounds 5

Each run is a process of its own, so that start-up and imports count for all alike.
Ratios are those within a round; the least and most of them tell how noisy it was.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

BODIES = {
    "scan_csv -> sink_parquet": """
import sys
import polars as pl
raw, out = sys.argv[1:]
frame = pl.scan_csv(raw, separator="\\t", has_header=False, quote_char=None)
frame.sink_parquet(out)
""",
    "count of each column": """
import sys
import polars as pl
raw, out = sys.argv[1:]
frame = pl.read_csv(raw, separator="\\t", has_header=False, quote_char=None)
for name in frame.columns:
    frame.group_by(name).len()
""",
    "prepare": """
import json, sys, time
from rafm_datasets import PrepareOptions, prepare
raw, out = sys.argv[1:]
begun = {}
def told(stage, done, total, unit):
    begun.setdefault(stage, time.perf_counter())
start = time.perf_counter()
prepare(PrepareOptions("criteo", (raw,), out), told)
marks = [start, *list(begun.values())[1:], time.perf_counter()]
print(json.dumps(dict(zip(begun, [b - a for a, b in zip(marks, marks[1:])]))))
""",
}


class Run(NamedTuple):
    """Wall and processor seconds of a process, and what it printed."""

    wall: float
    cpu: float
    printed: str


def run(body: str, raw: str) -> Run:
    """Run a body in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=Path(raw).parent) as folder:
        command = [sys.executable, "-c", body, raw, str(Path(folder, "out"))]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, printed.stdout)


def lines(rounds: list[dict[str, Run]], n_bytes: int) -> Iterator[str]:
    """Tell medians, and the ratios of each round."""
    for name in BODIES:
        wall = statistics.median(each[name].wall for each in rounds)
        cpu = statistics.median(each[name].cpu for each in rounds)
        speed = n_bytes / 1e6 / wall
        yield f"{name:26} {wall:7.2f} s {cpu:7.2f} cpu s {speed:6.0f} MB/s"
    for name in list(BODIES)[:-1]:
        for what in ("wall", "cpu"):
            ratios = sorted(
                getattr(each["prepare"], what) / getattr(each[name], what)
                for each in rounds
            )
            middle = statistics.median(ratios)
            yield (
                f"prepare / {name}, {what}: {middle:.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )
    yield f"stages of the last: {rounds[-1]['prepare'].printed.strip()}"


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--raw", help="A file in Criteo's layout, instead of a generated one.")
def main(rows: int, rounds: int, raw: str | None) -> None:
    """Time `prepare` against bare Polars, taking turns."""
    from rafm_datasets import generate

    with tempfile.TemporaryDirectory() as folder:
        raw = raw or generate("criteo", rows, 1, str(Path(folder, "c.tsv"))).path
        found = [
            {name: run(body, raw) for name, body in BODIES.items()}
            for _ in range(rounds)
        ]
        for line in lines(found, Path(raw).stat().st_size):
            click.echo(line)


if __name__ == "__main__":
    main()
