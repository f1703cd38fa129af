"""`rafm-bench train`."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rafm_bench.cli.options import (
    DataFolder,
    config_options,
    execution_options,
    given,
    json_option,
)
from rafm_bench.cli.output import show
from rafm_bench.execution import Execution

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter
    from rafm_bench.run import Run

EXAMPLE = """\b
Example:
  rafm-bench train data/frappe --model rafm --ranks 64,256 --out runs/rafm"""


@click.command("train", epilog=EXAMPLE)
@click.argument("data", metavar="[DIR]", type=DataFolder(), required=False)
@click.option(
    "--out",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Folder to write; must not exist.",
)
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on with a run that is not finished, instead of --out; DIR only where its "
    "data was moved.",
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
    data: Path | None,
    out: Path | None,
    resume: Path | None,
    config: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a model on prepared data.

    Every epoch is validated, the best one is kept, and the test split is scored once.
    RUN gets config.json, progress.csv, model.safetensors, history.csv and, when it is
    finished, result.json. Ctrl-C, a kill or a full disk leave a checkpoint in it.
    """
    from rafm_bench import tables
    from rafm_bench.progress import reporter
    from rafm_bench.resume import resume as go_on

    how = {one.name for one in fields(Execution)}
    chosen = given(flags)
    execution = Execution(**{name: chosen.pop(name) for name in how & set(chosen)})
    with reporter() as report:
        if resume is None:
            run = _train(data, out, config, chosen, report, execution)
        elif out or config:
            raise click.UsageError("--resume goes with neither --out nor --config")
        else:
            run = go_on(resume, data, report, execution, chosen)
    show(asdict(run.result), as_json, lambda console: tables.show_run(run, console))


def _train(
    data: Path | None,
    out: Path | None,
    config: Path | None,
    flags: dict[str, Any],
    report: Reporter,
    execution: Execution,
) -> Run:
    from rafm_bench.config_file import make_config
    from rafm_bench.train import train
    from rafm_datasets import open_prepared

    if data is None:
        raise click.UsageError("missing argument 'DIR'")
    if out is None:
        raise click.UsageError("missing option '--out'")
    made = make_config(config, flags)
    return train(made, open_prepared(data), out, report, execution)
