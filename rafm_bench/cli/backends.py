"""`rafm-bench backends`."""

from __future__ import annotations

from dataclasses import asdict

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench backends --json"""


@click.command("backends", epilog=EXAMPLE)
@json_option
def command(as_json: bool) -> None:
    """List the backends, each checked on a small problem."""
    from rafm_bench import tables
    from rafm_bench.backend_check import check_backends, usable_cpus

    checked, cpus = check_backends(), usable_cpus()
    result = {"usable_cpus": cpus, "backends": [asdict(one) for one in checked]}
    show(result, as_json, lambda console: tables.show_backends(checked, cpus, console))
