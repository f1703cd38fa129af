"""`rafm-bench export`."""

from __future__ import annotations

from pathlib import Path

import click

from rafm_bench.cli.options import json_option, model_format_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench export runs/fm --format libfm --out fm.txt"""


@click.command("export", epilog=EXAMPLE)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write; one that exists is replaced.",
)
@model_format_option
@json_option
def command(run: Path, out: Path, form: str | None, as_json: bool) -> None:
    """Write a run's model as a file for other programs.

    npz holds the arrays by name, safetensors is the run's own file, libfm is the text
    of libFM's -load_model, for models of one rank without fields. Features have the
    numbers of the prepared data.
    """
    from rafm_bench.exchange import export_model, format_of
    from rafm_bench.model_file import load_model
    from rafm_bench.run import MODEL, read_run

    export_model(load_model(read_run(run).folder / MODEL), out, form)
    size = out.stat().st_size
    result = {"file": str(out), "format": format_of(out, form), "bytes": size}
    show(result, as_json, lambda console: console.print(f"{size:,} bytes in {out}"))
