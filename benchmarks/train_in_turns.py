"""Seconds of an epoch of several models on the same data, taking turns.

    python -m benchmarks.train_in_turns data/frappe --epochs 6 \\
        'lr' 'fm --ranks 256' 'rafm --ranks 128,256'

Each turn is a whole run of `rafm-bench train` with the options given for all
(`--options`) and its own; of its epochs the median counts, of the turns the median
again. The first epoch waits for compiled code and for rows to be decoded.
"""

import statistics
import tempfile
from pathlib import Path

import click

from benchmarks.program import train


@click.command()
@click.argument("data", type=click.Path(exists=True))
@click.argument("models", nargs=-1, required=True)
@click.option("--epochs", default=6, show_default=True, help="Of each run.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--options", default="--threads 1", show_default=True, help="For all.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the runs.")
def main(
    data: str,
    models: tuple[str, ...],
    epochs: int,
    rounds: int,
    options: str,
    work: Path | None,
) -> None:
    """Train models in turns and tell the seconds of an epoch."""
    from rich.console import Console
    from rich.table import Table

    turns: dict[str, list[float]] = {model: [] for model in models}
    common = [*options.split(), "--epochs", str(epochs), "--patience", "0"]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for _ in range(rounds):
            for model, seconds in turns.items():
                done = train(data, Path(folder), "--model", *model.split(), *common)
                seconds.append(
                    statistics.median(e["seconds"] for e in done.result["epochs"])
                )
    table = Table("model", "seconds an epoch", "of each turn")
    for model, seconds in turns.items():
        each = " ".join(f"{one:.3f}" for one in seconds)
        table.add_row(model, f"{statistics.median(seconds):.3f}", each)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
