"""`rafm-bench reproduce`."""

from __future__ import annotations

from pathlib import Path

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show
from rafm_bench.reproduce.cells import EXPERIMENTS

EXAMPLE = """\b
Example:
  rafm-bench reproduce table4 --data-root raw --budget small --out reproduced"""


@click.command("reproduce", epilog=EXAMPLE)
@click.argument("experiment", type=click.Choice((*EXPERIMENTS, "all")))
@click.option(
    "--data-root",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of raw files, as fetched or unpacked, or of prepared data: frappe/, "
    "ml-10m/ or ml-10m.zip, criteo/ and so on.",
)
@click.option(
    "--protocol",
    type=click.Choice(("paper", "clean", "both")),
    default="both",
    show_default=True,
    help="How the authors' program trains and measures, or how it should be done.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=1),
    help="Runs of each cell [default: 3 in a small budget, 5 in a full one]",
)
@click.option(
    "--budget",
    type=click.Choice(("small", "full")),
    default="small",
    show_default=True,
    help="How many epochs, and how large the searches.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads that train; results do not depend on it.",
)
@click.option(
    "--out",
    metavar="REPORT",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the report; the same command goes on in it.",
)
@json_option
def command(
    experiment: str,
    data_root: Path,
    protocol: str,
    seeds: int | None,
    budget: str,
    threads: int,
    out: Path,
    as_json: bool,
) -> None:
    """Run experiments of the RaFM paper again, and tell what came of each claim.

    REPORT gets report.html, report.md with figures/, and results.parquet, which has a
    row for each run. The same command again draws the report anew, without training.
    Stopped by Ctrl-C or a kill, the same command goes on, in the middle of a run too.
    What is not in DIR is named, with the way to get it.
    """
    from rafm_bench.progress import reporter
    from rafm_bench.reproduce.budget import make_budget
    from rafm_bench.reproduce.reproduce import (
        Plan,
        read_experiments,
        read_protocols,
        reproduce,
    )
    from rafm_bench.reproduce.work import Place

    place = Place(out, make_budget(budget, seeds), threads)
    protocols = read_protocols(protocol)
    plan = Plan(read_experiments(experiment), protocols, data_root, place)
    with reporter() as report:
        page = reproduce(plan, report)
    show(
        {"report": str(page), "results": str(place.store)},
        as_json,
        lambda console: console.print(f"the report is {page}"),
    )
