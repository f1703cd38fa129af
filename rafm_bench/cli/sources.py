"""`rafm-bench sources`."""

from __future__ import annotations

from dataclasses import asdict

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench sources --json"""


@click.command("sources", epilog=EXAMPLE)
@json_option
def command(as_json: bool) -> None:
    """List the raw formats: layout, download page, licence."""
    from rafm_bench import tables
    from rafm_datasets import load_source, source_names

    infos = {name: load_source(name).INFO for name in source_names()}
    result = [{"name": name, **asdict(info)} for name, info in infos.items()]
    show(result, as_json, lambda console: tables.show_sources(infos, console))
