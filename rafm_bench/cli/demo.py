"""`rafm-bench demo`."""

from __future__ import annotations

from pathlib import Path

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench demo --out demo"""


@click.command("demo", epilog=EXAMPLE)
@click.option(
    "--out",
    metavar="DIR",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder to write; replaced if an earlier demo made it.",
)
@json_option
def command(out: Path, as_json: bool) -> None:
    """Show the whole way in two minutes: raw logs, prepared data, models, a report.

    The logs are generated, with planted ranks: frequent features deserve more.
    """
    from rafm_bench import tables
    from rafm_bench.compare import compare
    from rafm_bench.demo import demo

    made = demo(out)
    result = compare(made.runs)
    show(
        {"report": str(made.report), **result.to_dict()},
        as_json,
        lambda console: tables.show_demo(made, result, console),
    )
