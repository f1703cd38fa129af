"""`rafm-bench backends`."""

from __future__ import annotations

from dataclasses import asdict

import click

from rafm_bench.cli.options import json_option
from rafm_bench.cli.output import show
from rafm_bench.errors import RunError

EXAMPLE = """\b
Example:
  rafm-bench backends --json"""


@click.command("backends", epilog=EXAMPLE)
@click.option(
    "--all-models",
    is_flag=True,
    help="Check every model, not only the first that a backend computes; compiling "
    "takes minutes the first time.",
)
@json_option
def command(all_models: bool, as_json: bool) -> None:
    """List the backends, each checked on a small problem.

    Exit code 1 tells that one which is installed fails, or differs from the reference.
    """
    from rafm_bench import tables
    from rafm_bench.backend_check import REFERENCE, check_backends, usable_cpus
    from rafm_bench.progress import reporter

    cpus = usable_cpus()
    with reporter() as report:
        checked = check_backends(report, all_models=all_models)
    result = {"usable_cpus": cpus, "backends": [asdict(one) for one in checked]}
    show(result, as_json, lambda console: tables.show_backends(checked, cpus, console))
    wrong = [one.name for one in checked if one.available and not one.agrees]
    if wrong:
        raise RunError(
            f"{', '.join(wrong)}: does not compute what {REFERENCE} does; choose "
            "another backend (`rafm_kernels.testing` tells its author what fails)"
        )
