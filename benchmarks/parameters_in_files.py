"""Train with parameters in mapped files, under a memory limit below their size.

    python -m benchmarks.parameters_in_files --rows 300000 --rank 256 --limit 700

Clicks are generated (their features are Zipf), then an FM is trained three times: in
memory, in mapped files, and in mapped files within a control group whose memory limit
(MiB) is less than parameters and what the optimizer keeps. All models must be the same
bytes. Needs the right to make control groups: root, or a delegated group.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.epochs_out_of_core import generated_clicks
from benchmarks.program import train

_MIB = 1 << 20
_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextmanager
def limited_group(n_bytes: int) -> Iterator[Path]:
    """Make a control group with a memory limit, and remove it in the end."""
    root, knob = (_V1, "memory.limit_in_bytes") if _V1.is_dir() else (_V2, "memory.max")
    group = root / f"rafm-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / knob).write_text(str(n_bytes))
        yield group
    finally:
        group.rmdir()


@click.command()
@click.option("--rows", default=300_000, show_default=True, help="To generate.")
@click.option("--rank", default=256, show_default=True)
@click.option("--limit", default=700, show_default=True, help="MiB of the group.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for all files.")
def main(rows: int, rank: int, limit: int, work: Path | None) -> None:
    """Measure parameters in files."""
    with tempfile.TemporaryDirectory(dir=work) as made:
        folder = Path(made)
        data = generated_clicks(folder, rows)
        options = ("--model", "fm", "--ranks", str(rank), "--epochs", "1")
        places = ("--parameters", "memory"), ("--parameters", "mmap")
        runs = [train(data, folder, *options, *place) for place in places]
        with limited_group(limit * _MIB) as group:
            limits = ("--memory-limit", f"{limit}MiB")
            runs.append(
                train(data, folder, *options, *places[1], *limits, cgroup=group)
            )
    tables = 2 * 4 * runs[0].result["n_parameters"] / _MIB
    click.echo(f"{tables:,.0f} MiB of parameters and AdaGrad's sums")
    names = ("in memory", "in files", f"in files, under {limit} MiB")
    for name, run in zip(names, runs, strict=True):
        click.echo(f"{name}: {run.rows_per_second:,.0f} rows/s")
    click.echo(f"{len({run.model for run in runs})} model(s) of {len(runs)} runs")


if __name__ == "__main__":
    main()
