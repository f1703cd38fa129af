"""`rafm-bench verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rafm_bench.cli.options import DataFolder, json_option
from rafm_bench.cli.output import show

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """\b
Example:
  rafm-bench verify data/frappe"""


@click.command("verify", epilog=EXAMPLE)
@click.argument("data", metavar="DIR", type=DataFolder())
@json_option
def command(data: Path, as_json: bool) -> None:
    """Recompute hashes, counts and invariants; exit 1 if anything is wrong.

    Every file of the prepared data is read and held against its manifest.
    """
    from rafm_bench import tables
    from rafm_bench.progress import reporter
    from rafm_datasets import verify

    with reporter() as report:
        found = verify(data, report)
    result = {**asdict(found), "sound": found.sound}
    show(result, as_json, lambda console: tables.show_verification(found, console))
    if not found.sound:
        raise click.exceptions.Exit(1)
