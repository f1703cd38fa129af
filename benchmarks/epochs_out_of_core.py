"""An epoch under a memory limit, and its speed beside that with all rows in memory.

    python -m benchmarks.epochs_out_of_core --rows 1000000 --rounds 3
    python -m benchmarks.epochs_out_of_core --data data/criteo --memory-limit 512MiB

The first form generates clicks that fit in memory and trains on them with decoded rows
read anew from disk and with them kept, taking turns, for 1 and 2 reader threads; the
speeds are those of the second epoch, and all models must be the same bytes. The second
form trains one epoch on prepared data of any size and tells the peak of the whole
process tree (PSS) beside the limit.
"""

import statistics
import tempfile
from pathlib import Path

import click

from benchmarks.program import Trained, train

_MIB = 1 << 20


@click.command()
@click.option("--data", type=click.Path(exists=True), help="Prepared data.")
@click.option("--memory-limit", default="512MiB", show_default=True)
@click.option("--rows", default=1_000_000, show_default=True, help="To generate.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--options", default="--model fm --ranks 8", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Folder for all files.")
def main(
    data: str | None,
    memory_limit: str,
    rows: int,
    rounds: int,
    options: str,
    work: Path | None,
) -> None:
    """Measure epochs out of core."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        if data is not None:
            limited(data, Path(folder), memory_limit, options.split())
            return
        beside_memory(
            generated_clicks(Path(folder), rows), Path(folder), rounds, options
        )


def limited(data: str, folder: Path, limit: str, options: list[str]) -> None:
    """Train an epoch under a limit and print its peak."""
    done = train(
        data, folder, *options, "--epochs", "1", "--memory-limit", limit,
        "--data-in", "disk",
    )  # fmt: skip
    click.echo(f"peak {done.peak / _MIB:,.0f} MiB of {limit}")
    click.echo(f"{done.rows_per_second:,.0f} rows/s")


def beside_memory(data: str, folder: Path, rounds: int, options: str) -> None:
    """Train with rows on disk and in memory in turns and print the ratios."""
    ratios: dict[int, list[float]] = {1: [], 2: []}
    models = set()
    for number in range(rounds):
        for readers, found in ratios.items():
            speeds = {}
            for place in ("memory", "disk"):
                done = _run(data, folder, options, place, readers)
                speeds[place] = done.rows_per_second
                models.add(done.model)
            found.append(speeds["disk"] / speeds["memory"])
            click.echo(
                f"round {number + 1}, {readers} reader threads: in memory "
                f"{speeds['memory']:,.0f} rows/s, from disk {speeds['disk']:,.0f}"
            )
    for readers, found in ratios.items():
        middle = statistics.median(found)
        click.echo(
            f"{readers} reader threads: {middle:.2f} of the speed in memory "
            f"({min(found):.2f} to {max(found):.2f})"
        )
    click.echo(f"{len(models)} model(s) of {4 * rounds} runs")


def _run(data: str, folder: Path, options: str, place: str, readers: int) -> Trained:
    return train(
        data, folder, *options.split(), "--epochs", "2", "--patience", "0",
        "--data-in", place, "--reader-threads", str(readers),
    )  # fmt: skip


def generated_clicks(folder: Path, n_rows: int) -> str:
    from rafm_datasets import PrepareOptions, generate, prepare

    raw = generate("criteo", n_rows, 0, str(folder / "clicks.tsv")).path
    prepare(PrepareOptions("criteo", (raw,), str(folder / "data")))
    return str(folder / "data")


if __name__ == "__main__":
    main()
