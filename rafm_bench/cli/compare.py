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
    metavar="RUN|TUNE...",
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
@click.option(
    "--only",
    metavar="COLUMN=VALUE",
    multiple=True,
    help="Only the trials of a table that have the value, e.g. data_set=frappe; may be "
    "given several times.",
)
@json_option
def command(
    runs: tuple[Path, ...], html: Path | None, only: tuple[str, ...], as_json: bool
) -> None:
    """Put runs beside each other, figures relative to the first.

    A folder of `rafm-bench tune`, or its table, stands for all of its trials: these
    are then listed by validation loss.
    """
    from rafm_bench.searches import is_store

    if only or any(map(is_store, runs)):
        _compare_searches(runs, html, only, as_json=as_json)
    else:
        _compare_runs(runs, html, as_json=as_json)
    if html:
        click.echo(f"report in {html}", err=True)


def _compare_runs(runs: tuple[Path, ...], html: Path | None, *, as_json: bool) -> None:
    from rafm_bench import tables
    from rafm_bench.compare import compare
    from rafm_bench.run import read_run

    read = [read_run(folder) for folder in runs]
    result = compare(read)
    if html:
        from rafm_bench.report import write_report

        write_report(html, read)
    show(result.to_dict(), as_json, lambda to: tables.show_comparison(result, to))


def _compare_searches(
    paths: tuple[Path, ...], html: Path | None, only: tuple[str, ...], *, as_json: bool
) -> None:
    from rafm_bench import search_table
    from rafm_bench.searches import read_searches

    found = read_searches(paths, only)
    if html:
        from rafm_bench.search_report import write_search_report

        write_search_report(html, found, paths, only)
    show(found.to_dict(), as_json, lambda to: search_table.show_searches(found, to))
