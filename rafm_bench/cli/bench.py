"""`rafm-bench bench`."""

from __future__ import annotations

import sys
from typing import Any

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show

COMPARE_EXAMPLE = """\b
Example:
  rafm-bench bench compare main HEAD --suite 'models.*numba$'"""


@click.group("bench")
def command() -> None:
    """Benchmarks of this checkout: compare two commits, publish what was measured."""


@command.command("compare", epilog=COMPARE_EXAMPLE)
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD", default="HEAD")
@click.option(
    "--suite",
    metavar="REGEX",
    default="^(models|epochs|prepare|quality)",
    show_default=True,
    help="Benchmarks to run, by name and parameters.",
)
@click.option(
    "--threshold",
    metavar="RATIO",
    type=click.FloatRange(1.0, min_open=True),
    default=1.1,
    show_default=True,
    help="Slowdown that counts: exit 1 when one above it is proven. Values that never "
    "vary count from 1.002 on; of memory, 48 MiB more count too.",
)
@click.option(
    "--pairs",
    metavar="N",
    type=click.IntRange(3),
    default=16,
    show_default=True,
    help="Pairs of fresh processes. Memory takes half of them (eight at least, where "
    "there are so many), values that never vary take three.",
)
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Samples at least of each time, commit and pair (one when it takes over a "
    "second).",
)
@click.option(
    "--allow-dirty",
    is_flag=True,
    help="Go on though the tree has changes: as committed.",
)
@click.option("--all", "show_all", is_flag=True, help="Show what did not change too.")
@json_option
def compare(as_json: bool, show_all: bool, **choices: Any) -> None:
    """Measure two commits against each other, taking turns.

    Each is built in a worktree and an environment of its own (.asv/compare). Exit 1
    when a benchmark is proven to be slower, or to need more, than by the threshold, or
    fails at HEAD though it runs at BASE.
    """
    from rafm_bench.bench.compare import Plan, compare_commits
    from rafm_bench.bench.table import show_commits
    from rafm_bench.progress import reporter

    with reporter() as report:
        found = compare_commits(Plan(**choices), report)
    show(
        found,
        as_json,
        lambda console: show_commits(found, console, show_all=show_all),
    )
    if found["worse"]:
        sys.exit(1)


PUBLISH_EXAMPLE = """\b
Example:
  rafm-bench bench publish"""


@command.command("publish", epilog=PUBLISH_EXAMPLE)
@json_option
def publish_pages(as_json: bool) -> None:
    """Write asv's pages of what was measured, and scaling plots over theory's lines."""
    from rafm_bench.bench.publish import publish

    pages = publish()
    told = {name: str(value) for name, value in pages._asdict().items()}
    show(told, as_json, lambda console: console.print(*told.values(), sep="\n"))
