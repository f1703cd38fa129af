"""`rafm-bench train`."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from rafm_bench.cli.options import (
    DataFolder,
    config_options,
    execution_options,
    given,
    json_option,
)
from rafm_bench.cli.output import show

EXAMPLE = """\b
Example:
  rafm-bench train data/frappe --model rafm --ranks 64,256 --out runs/rafm"""


@click.command("train", epilog=EXAMPLE)
@click.argument("data", metavar="DIR", type=DataFolder())
@click.option(
    "--out",
    metavar="RUN",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write; must not exist.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML or JSON file of these options (RUN/config.json is one); flags win.",
)
@config_options()
@execution_options()
@json_option
def command(
    data: Path, out: Path, config: Path | None, as_json: bool, **flags: Any
) -> None:
    """Train a model on prepared data.

    Every epoch is validated, the best one is kept, and the test split is scored once.
    RUN gets model.safetensors, config.json, history.csv and result.json.
    """
    from rafm_bench import tables
    from rafm_bench.config_file import make_config
    from rafm_bench.execution import Execution
    from rafm_bench.progress import reporter
    from rafm_bench.train import train
    from rafm_datasets import open_prepared

    chosen = given(flags)
    how = {one.name for one in fields(Execution)}
    execution = Execution(**{name: chosen.pop(name) for name in how & set(chosen)})
    made = make_config(config, chosen)
    with reporter() as report:
        run = train(made, open_prepared(data), out, report, execution)
    show(asdict(run.result), as_json, lambda console: tables.show_run(run, console))
