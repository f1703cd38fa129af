"""`rafm-bench compare`."""

from __future__ import annotations

from pathlib import Path

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench compare runs/fm runs/rafm --html report.html"""


@click.command("compare", epilog=EXAMPLE)
@click.argument(
    "runs",
    metavar="RUN RUN...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write a report with plots: one file, nothing else needed.",
)
@json_option
def command(runs: tuple[Path, ...], html: Path | None, as_json: bool) -> None:
    """Put runs beside each other, figures relative to the first."""
    from rafm_bench import tables
    from rafm_bench.compare import compare
    from rafm_bench.run import read_run

    read = [read_run(folder) for folder in runs]
    if html:
        from rafm_bench.report import write_report

        write_report(html, read)
        click.echo(f"report in {html}", err=True)
    result = compare(read)
    show(
        result.to_dict(),
        as_json,
        lambda console: tables.show_comparison(result, console),
    )
