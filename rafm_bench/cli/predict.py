"""`rafm-bench predict`."""

from __future__ import annotations

from pathlib import Path

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench predict runs/rafm data/frappe --split test --out scores.parquet"""


@click.command("predict", epilog=EXAMPLE)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("data", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split to score.")
@click.option(
    "--out",
    metavar="FILE.parquet",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write; one that exists is replaced.",
)
@json_option
def command(run: Path, data: Path, split: str, out: Path, as_json: bool) -> None:
    """Write a model's predictions for each row of a split.

    The columns are label and score: the probability of label 1, or the rating.
    """
    from rafm_bench.evaluate import predict
    from rafm_bench.progress import reporter
    from rafm_bench.run import read_run

    with reporter() as report:
        n_rows = predict(read_run(run), data, split, out, report)
    result = {"file": str(out), "split": split, "n_rows": n_rows}
    show(result, as_json, lambda console: console.print(f"{n_rows:,} rows in {out}"))
