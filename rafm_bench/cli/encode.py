"""`rafm-bench encode`."""

from __future__ import annotations

from typing import Any

import click

from rafm_bench.cli.options import SizeInBytes, given, json_option
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench encode criteo test.txt --like data/criteo --out test.parquet
  rafm-bench predict runs/rafm --data test.parquet --out scores.parquet
  rafm-bench encode avazu test.gz --like data/avazu --out test.parquet"""


@click.command("encode", epilog=EXAMPLE)
@click.argument("source")
@click.argument("raw", metavar="RAW...", nargs=-1, required=True)
@click.option(
    "--like", metavar="DIR", required=True, help="Prepared data whose ids to give."
)
@click.option(
    "--out",
    metavar="FILE.parquet",
    required=True,
    help="File to write; one that exists is replaced.",
)
@click.option(
    "--on-bad-row",
    metavar="stop|quarantine",
    help="Stop at a row that cannot be read, or set it aside in "
    "FILE.quarantine.parquet [default: stop]",
)
@click.option("--memory-limit", metavar="SIZE", type=SizeInBytes(), help="E.g. 2GiB.")
@click.option("--threads", metavar="N", type=int, help="Threads [default: all cores]")
@click.option("--workers", metavar="N", type=int, help="Processes, instead of threads.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on a Dask cluster, e.g. tcp://host:8786; it must see the same files.",
)
@json_option
def command(as_json: bool, **flags: Any) -> None:
    """Give new raw rows, labeled or not, the ids of prepared data, for predict.

    Values that the data does not know are read as rare, missing ones as null. SOURCE
    is the format that DIR was prepared from; rows keep their order.
    """
    from rafm_bench import tables
    from rafm_bench.errors import leaving
    from rafm_bench.progress import reporter
    from rafm_datasets import EncodeOptions, encode_like

    options = EncodeOptions(**given(flags))
    with leaving(f"{options.out} was not written"), reporter() as report:
        encoded = encode_like(options, report)
    show(
        tables.encoded_as_dict(encoded),
        as_json,
        lambda console: tables.show_encoded(encoded, console),
    )
