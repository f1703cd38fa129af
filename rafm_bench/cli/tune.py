"""`rafm-bench tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rafm_bench.cli.options import (
    DataFolder,
    config_options,
    execution_of,
    execution_options,
    given,
    json_option,
)
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench tune data/frappe --model fm --grid l2=1e-6,1e-5 --out tuned"""


@click.command("tune", epilog=EXAMPLE)
@click.argument("data", metavar="DIR", type=DataFolder())
@click.option(
    "--out",
    metavar="TUNE",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the search; the same command goes on in it.",
)
@click.option(
    "--grid",
    "grids",
    metavar="OPTION=V,V,...",
    multiple=True,
    required=True,
    help="An option to search and its values (ranks=8:32,16:64), or with --random a "
    "range (learning-rate=0.001..0.3); once for each option.",
)
@click.option(
    "--random",
    "n_random",
    metavar="N",
    type=click.IntRange(min=1),
    help="Draw N trials, decided by --seed, and do not try every combination.",
)
@click.option(
    "--keep-models", is_flag=True, help="Keep every model, not only the best."
)
@click.option("--plan", is_flag=True, help="Only tell the trials.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML or JSON file of options that all trials share; flags win.",
)
@config_options()
@execution_options()
@json_option
def command(data: Path, out: Path, plan: bool, as_json: bool, **flags: Any) -> None:
    """Search for good options: train trials, judge them on validation.

    The test split is scored once, for the best trial. Trials that are done stay in
    TUNE/trials.parquet and are not run again, one that was interrupted goes on at its
    checkpoint, one that diverges is a row with its error. Only the best trial's model
    is kept.
    """
    from rafm_bench import search_table
    from rafm_bench.progress import reporter
    from rafm_bench.search import make_search, shared_options
    from rafm_bench.searches import read_searches
    from rafm_bench.space import read_space
    from rafm_bench.tune import tune
    from rafm_datasets import open_prepared

    keep, n_random = flags.pop("keep_models"), flags.pop("n_random")
    space, file = read_space(flags.pop("grids")), flags.pop("config")
    chosen = given(flags)
    execution = execution_of(chosen)
    shared = shared_options(file, chosen, space)
    opened = open_prepared(data)
    search = make_search(opened, out, space, shared, n_random, keep_models=keep)
    if plan:
        planned = search_table.planned_as_dict(search)
        show(planned, as_json, lambda to: search_table.show_planned(search, to))
        return
    with reporter() as report:
        tune(search, report, execution)
    found = read_searches([out])
    show(found.to_dict(), as_json, lambda to: search_table.show_searches(found, to))
