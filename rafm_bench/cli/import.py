"""`rafm-bench import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from rafm_bench.cli.options import DataFolder, json_option, model_format_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench import fm.txt --format libfm --like data/frappe --out runs/libfm"""


@click.command("import", epilog=EXAMPLE)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--like",
    metavar="DIR",
    required=True,
    type=DataFolder(),
    help="Prepared data whose features the model knows.",
)
@click.option(
    "--out",
    metavar="RUN",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write; must not exist.",
)
@model_format_option
@json_option
def command(file: Path, like: Path, out: Path, form: str | None, as_json: bool) -> None:
    """Make a run of a model in a file, to evaluate and predict with.

    It is measured on the validation and test rows; it has no epochs to compare.
    """
    from rafm_bench import tables
    from rafm_bench.imported import import_run
    from rafm_bench.progress import reporter
    from rafm_datasets import open_prepared

    with reporter() as report:
        run = import_run(file, form, open_prepared(like), out, report)
    show(
        asdict(run.result), as_json, lambda console: tables.show_imported(run, console)
    )
