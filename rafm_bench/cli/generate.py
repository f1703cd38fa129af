"""`rafm-bench generate`."""

from __future__ import annotations

from dataclasses import asdict

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show
from rafm_datasets import generator_names

EXAMPLE = """\b
Example:
  rafm-bench generate criteo --rows 1000000 --out raw/clicks.tsv.gz"""
HELP = f"""Write a raw file of generated rows, with planted ranks.

LAYOUT is the format of the file: {", ".join(generator_names())}.
"""


@click.command("generate", epilog=EXAMPLE, help=HELP)
@click.argument("layout")
@click.option("--rows", metavar="N", type=int, required=True, help="Rows to write.")
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Decides what is planted, and the rows.",
)
@click.option(
    "--out", metavar="FILE", required=True, help="File to write; .gz packs it."
)
@json_option
def command(layout: str, rows: int, seed: int, out: str, as_json: bool) -> None:
    """Write a raw file of generated rows."""
    from rafm_bench.progress import reporter
    from rafm_datasets import generate

    with reporter() as report:
        made = generate(layout, rows, seed, out, progress=report)
    show(
        asdict(made),
        as_json,
        lambda console: console.print(
            f"{made.rows:,} rows in {made.path}; the planted model's own loss on "
            f"them is {made.planted_loss:.4f}"
        ),
    )
