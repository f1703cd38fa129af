"""`rafm-bench explain`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rafm_bench.cli.options import DataFolder, config_options, given, json_option
from rafm_bench.cli.output import show

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """\b
Examples:
  rafm-bench explain data/frappe item 412 --ranks 64,256
  rafm-bench explain data/frappe --id 17"""


@click.command("explain", epilog=EXAMPLE)
@click.argument("data", metavar="DIR", type=DataFolder())
@click.argument("field", required=False)
@click.argument("value", required=False)
@click.option("--id", "feature_id", metavar="N", type=int, help="Id of the feature.")
@config_options("model", "ranks", "rank_rule", "thresholds", "levels")
@json_option
def command(
    data: Path,
    field: str | None,
    value: str | None,
    feature_id: int | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show a feature by FIELD and VALUE, or by --id.

    What is told: id and value, kind, counts, mean label, level and rank.

    A value that has no feature of its own is answered by what it is read as.
    """
    from rafm_bench import tables
    from rafm_bench.explain import explain
    from rafm_bench.job import layout_of_flags
    from rafm_bench.progress import reporter
    from rafm_datasets import open_prepared

    opened = open_prepared(data)
    with reporter() as report:
        layout = layout_of_flags(given(flags), opened, report)
    result = explain(opened, field, value, feature_id, layout)
    show(asdict(result), as_json, lambda console: tables.show_feature(result, console))
