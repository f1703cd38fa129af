"""`rafm-bench prepare`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rafm_bench.cli.options import (
    LeastCounts,
    NumbersOf,
    SizeInBytes,
    given,
    json_option,
)
from rafm_bench.cli.output import show
from rafm_datasets import source_names

if TYPE_CHECKING:
    from rafm_datasets import PrepareOptions

EXAMPLE = """\b
Examples:
  rafm-bench prepare table clicks.csv --describe clicks.toml --out data/clicks
  rafm-bench prepare movielens ml-1m/ratings.dat --out data/ml-1m
  rafm-bench prepare libfm train.libfm valid.libfm test.libfm --split given --out data/x
"""


HELP = f"""Prepare raw files: split, count, encode, write Parquet.

SOURCE is the format of the raw files: {", ".join(source_names())}.
"""


@click.command("prepare", epilog=EXAMPLE, help=HELP)
@click.argument("source")
@click.argument("raw", metavar="RAW...", nargs=-1, required=True)
@click.option(
    "--describe",
    "description",
    metavar="FILE.toml",
    help="For source table: which columns are label, time and fields.",
)
@click.option(
    "--out",
    metavar="DIR",
    required=True,
    help="Folder to write, here or at an address such as s3://bucket/data.",
)
@click.option(
    "--work",
    metavar="DIR",
    help="Local folder to work in where --out is an address; removed in the end "
    "[default: in the cache of the user]",
)
@click.option(
    "--split",
    metavar="random|given|time",
    help="Draw the splits, take RAW files as train, valid and test, or go by time "
    "[default: random]",
)
@click.option(
    "--fractions",
    metavar="A,B,C",
    type=NumbersOf(),
    help="Shares of train, valid and test in random splits [default: 0.8,0.1,0.1]",
)
@click.option(
    "--period", metavar="12h|1d|2w", help="For --split time: a period [default: 1d]"
)
@click.option(
    "--holdout",
    metavar="V,T",
    type=NumbersOf(int),
    help="For --split time: the last T periods are test, the V before them valid "
    "[default: 1,1]",
)
@click.option("--seed", metavar="N", type=int, help="Decides the draw [default: 0]")
@click.option(
    "--min-count",
    "min_counts",
    metavar="N|FIELD=N,...",
    type=LeastCounts(),
    multiple=True,
    help="Values seen less often in training are read as rare; also by field: 5,C1=10 "
    "[default: 1]",
)
@click.option(
    "--count-splits",
    metavar="train|all",
    help="Rows that count as frequency; all is the paper's protocol [default: train]",
)
@click.option(
    "--task",
    metavar="classification|regression",
    help="What labels are, where the source leaves it open [default: by the labels]",
)
@click.option(
    "--hour",
    metavar="split|drop",
    help="Avazu's hour as hour of day and weekday, or left out (the paper's 21 fields) "
    "[default: split]",
)
@click.option(
    "--on-bad-row",
    metavar="stop|quarantine",
    help="Stop at a row that cannot be read, or set it aside [default: stop]",
)
@click.option("--memory-limit", metavar="SIZE", type=SizeInBytes(), help="E.g. 2GiB.")
@click.option("--threads", metavar="N", type=int, help="Threads [default: all cores]")
@click.option("--workers", metavar="N", type=int, help="Processes, instead of threads.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on a Dask cluster, e.g. tcp://host:8786; it must see the same files.",
)
@click.option(
    "--overwrite", is_flag=True, default=None, help="Replace prepared data in DIR."
)
@click.option(
    "--plan",
    is_flag=True,
    help="Tell rows, disk, memory and time from a sample, and prepare nothing.",
)
@json_option
def command(plan: bool, as_json: bool, **flags: Any) -> None:
    """Prepare raw files."""
    from rafm_bench import summary_table
    from rafm_bench.errors import leaving
    from rafm_bench.progress import reporter
    from rafm_bench.summary import summarize
    from rafm_datasets import (
        PrepareOptions,
        find_finished,
        prepare,
        read_description,
        short_of_disk,
    )

    if flags["description"] is not None:
        flags["description"] = read_description(flags["description"])
    least = {
        name: n for counts in flags.pop("min_counts") for name, n in counts.items()
    }
    flags |= {"min_count": least.pop(None, None), "field_min_counts": least}
    options = PrepareOptions(**given(flags))
    if plan:
        _show_plan(options, as_json)
        return
    again = "the same command goes on where it stopped"
    with leaving(again), reporter() as report:
        data = find_finished(options)
        if data is not None:
            report.say(f"{options.out} is prepared already; nothing was done")
        else:
            if short := short_of_disk(options):
                report.say(f"warning: {short}")
            data = prepare(options, progress=report)
    result = summarize(data)
    show(
        result.to_dict(),
        as_json,
        lambda console: summary_table.show_summary(result, console),
    )


def _show_plan(options: PrepareOptions, as_json: bool) -> None:
    from rafm_bench import plan_table
    from rafm_datasets import plan_prepare

    plan = plan_prepare(options)
    show(asdict(plan), as_json, lambda console: plan_table.show_plan(plan, console))
