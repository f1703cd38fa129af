"""Where the arrays of training come from: drawn, another run's, or a checkpoint's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.errors import UserError
from rafm_bench.model_file import METADATA_KEY, check_there, describe
from rafm_bench.run import MODEL, read_run
from rafm_bench.tensor_file import hash_file, open_tensors
from rafm_kernels import init_parameters, init_state, parameter_arrays, zero_parameters

if TYPE_CHECKING:
    from rafm_bench.job import Job
    from rafm_kernels import Parameters, TrainState

_MAY_DIFFER = ("format_version", "projection")


def first_state(job: Job) -> TrainState:
    """Return the state before the first step."""
    config = job.config
    if config.init_from is None:
        parameters = init_parameters(job.model, config.seed, config.dtype, job.allocate)
    else:
        parameters = _parameters_of_run(job, Path(config.init_from))
    return init_state(job.model, job.optimizer, parameters, job.allocate)


def empty_state(job: Job) -> TrainState:
    """Return a state to be filled from a checkpoint."""
    return init_state(job.model, job.optimizer, empty_parameters(job), job.allocate)


def empty_parameters(job: Job) -> Parameters:
    """Return parameters to be filled from a file."""
    return zero_parameters(job.model.layout, job.config.dtype, job.allocate)


def start_of(job: Job) -> str:
    """Return the SHA-256 of the model file that training starts from; "" without one.

    Raises
    ------
    UserError                         when it is no finished run, or of another layout
    """
    if job.config.init_from is None:
        return ""
    run = Path(job.config.init_from)
    read_run(run)
    check_there(run / MODEL)
    _check_fits(job, run)
    return hash_file(run / MODEL).hexdigest()


def _parameters_of_run(job: Job, run: Path) -> Parameters:
    opened, parameters = open_tensors(run / MODEL), empty_parameters(job)
    for name, target in parameter_arrays(parameters, job.model.layout).items():
        opened.read_into(name, target)
    return parameters


def _check_fits(job: Job, run: Path) -> None:
    """Refuse a run whose parameters would not mean the same in this job's model."""
    opened, layout = open_tensors(run / MODEL), job.model.layout
    theirs = json.loads(opened.metadata[METADATA_KEY])
    ours = json.loads(json.dumps(describe(job.model, job.data.fingerprint)))
    for name in ours:
        if name not in _MAY_DIFFER and ours[name] != theirs.get(name):
            raise UserError(
                f"--init-from {run}: its {name} is {theirs.get(name)}, and here it is "
                f"{ours[name]}; start from a run of the same data, model and ranks"
            )
    if (layout.order is None) != ("order" not in opened.entries):
        raise _other_levels(run)
    if layout.order is not None:
        order = np.empty_like(layout.order)
        opened.read_into("order", order)
        if not np.array_equal(order, layout.order):
            raise _other_levels(run)
    dtype = opened.entries["linear"].dtype
    if dtype != job.config.dtype:
        raise UserError(
            f"--init-from {run}: its parameters are {dtype}, and --dtype is "
            f"{job.config.dtype}; give --dtype {dtype}"
        )


def _other_levels(run: Path) -> UserError:
    return UserError(
        f"--init-from {run}: its features have other levels than here; give the same "
        "--levels"
    )
