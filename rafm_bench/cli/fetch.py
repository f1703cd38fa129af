"""`rafm-bench fetch`."""

from __future__ import annotations

from dataclasses import asdict

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Examples:
  rafm-bench fetch
  rafm-bench fetch amazon-2018 --category Video_Games --out raw
  rafm-bench fetch ml-1m --out raw"""


@click.command("fetch", epilog=EXAMPLE)
@click.argument("name", required=False)
@click.option(
    "--out", metavar="DIR", default=".", show_default=True, help="Folder to fill."
)
@click.option(
    "--category", metavar="NAME", help="Of products, for Amazon's ratings by category."
)
@json_option
def command(name: str | None, out: str, category: str | None, as_json: bool) -> None:
    """Download a raw data set, with checksum; goes on where it broke off.

    Without NAME, list what can be fetched, and what has to be fetched by hand.
    """
    from rafm_bench import tables
    from rafm_bench.errors import leaving
    from rafm_bench.progress import reporter
    from rafm_datasets import DOWNLOADS, fetch_raw

    if name is None:
        listed = [{"name": key, **asdict(entry)} for key, entry in DOWNLOADS.items()]
        show(listed, as_json, lambda console: tables.show_downloads(DOWNLOADS, console))
        return
    with leaving("the same command goes on where it stopped"), reporter() as report:
        fetched = fetch_raw(name, out, category, report)
    show(
        asdict(fetched), as_json, lambda console: tables.show_fetched(fetched, console)
    )
