"""`rafm-bench evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rafm_bench.cli.options import DataFolder, execution_options, given, json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench evaluate runs/rafm --split valid"""


@click.command("evaluate", epilog=EXAMPLE)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="DIR",
    type=DataFolder(),
    help="Prepared data [default: what RUN was trained on]",
)
@click.option("--split", default="test", show_default=True, help="Split to score.")
@click.option(
    "--levels",
    "with_levels",
    is_flag=True,
    help="Measure the model cut off at each level too.",
)
@execution_options("workers", "scheduler")
@json_option
def command(
    run: Path,
    data: Path | None,
    split: str,
    with_levels: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Measure a trained model on a split of its data."""
    from rafm_bench import tables
    from rafm_bench.evaluate import evaluate
    from rafm_bench.execution import Execution
    from rafm_bench.progress import reporter
    from rafm_bench.run import read_run

    with reporter() as report:
        opened, at = read_run(run), Execution(**given(where))
        result = evaluate(opened, data, split, report, at, with_levels=with_levels)
    told = result._asdict()
    if not with_levels:
        del told["levels"]
    show(told, as_json, lambda console: tables.show_metrics(result, console))
