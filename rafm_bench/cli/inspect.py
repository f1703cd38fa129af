"""`rafm-bench inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rafm_bench.cli.options import DataFolder, config_options, given, json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench inspect data/frappe --ranks 64,256 --plot frequencies.svg"""


@click.command("inspect", epilog=EXAMPLE)
@click.argument("data", metavar="DIR", type=DataFolder())
@click.option(
    "--plot",
    metavar="FILE.png|svg",
    type=click.Path(path_type=Path),
    help="Draw the histogram of frequencies, with the cuts between the ranks.",
)
@config_options("model", "ranks", "rank_rule", "thresholds", "levels")
@json_option
def command(data: Path, plot: Path | None, as_json: bool, **flags: Any) -> None:
    """Show what prepared data holds, and what ranks on it would cost."""
    from rafm_bench import summary_table
    from rafm_bench.job import layout_of_flags
    from rafm_bench.progress import reporter
    from rafm_bench.summary import summarize
    from rafm_datasets import open_prepared

    opened = open_prepared(data)
    with reporter() as report:
        result = summarize(opened, layout_of_flags(given(flags), opened, report))
    if plot:
        from rafm_bench.plots import save_frequency_plot

        save_frequency_plot(result, plot)
        click.echo(f"plot in {plot}", err=True)
    show(
        result.to_dict(),
        as_json,
        lambda console: summary_table.show_summary(result, console),
    )
