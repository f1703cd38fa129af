"""`rafm-bench predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rafm_bench.cli.options import DataFolder, execution_options, given, json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Examples:
  rafm-bench predict runs/rafm --data new.parquet --out scores.parquet
  rafm-bench predict runs/rafm data/frappe --split test --out scores.parquet"""


@click.command("predict", epilog=EXAMPLE)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("folder", metavar="[DIR]", required=False, type=DataFolder())
@click.option(
    "--data",
    metavar="DIR|FILE.parquet",
    type=DataFolder(),
    help="Prepared data, or rows of `rafm-bench encode` [default: DIR, or what RUN "
    "was trained on]",
)
@click.option("--split", help="Split of prepared data to score [default: test]")
@click.option(
    "--out",
    metavar="FILE.parquet",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write; one that exists is replaced.",
)
@click.option(
    "--levels",
    "with_levels",
    is_flag=True,
    help="Add level_1 ... level_m: the prediction of the model cut off at each level.",
)
@execution_options("workers", "scheduler")
@json_option
def command(
    run: Path,
    folder: Path | None,
    data: Path | None,
    split: str | None,
    out: Path,
    with_levels: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Write a model's predictions for each row of a split, or of encoded rows.

    The columns are label, where there are labels, and score: the probability of label
    1, or the rating. Rows are in the order of the file. The last level of --levels is
    the score.
    """
    from rafm_bench.evaluate import predict, predict_encoded
    from rafm_bench.execution import Execution
    from rafm_bench.progress import reporter
    from rafm_bench.run import read_run

    if folder and data:
        raise click.UsageError("give DIR or --data, not both")
    data = data or folder
    encoded = isinstance(data, Path) and data.is_file()
    if encoded and split:
        raise click.UsageError(f"{data} is a file of rows and has no splits")
    if encoded and given(where):
        raise click.UsageError(f"{data} is a file of rows, which one process scores")
    with reporter() as report:
        opened = read_run(run)
        if data is not None and encoded:
            n_rows = predict_encoded(opened, data, out, report, with_levels=with_levels)
        else:
            split, at = split or "test", Execution(**given(where))
            n_rows = predict(
                opened, data, split, out, report, at, with_levels=with_levels
            )
    result = {"file": str(out), "split": split, "n_rows": n_rows}
    show(result, as_json, lambda console: console.print(f"{n_rows:,} rows in {out}"))
