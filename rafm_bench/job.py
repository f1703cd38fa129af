"""What one training run works with, made once from its config and its data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.counts import level_counts
from rafm_bench.errors import UserError, door
from rafm_bench.execution import STANDARD, Execution
from rafm_bench.levels import read_levels
from rafm_datasets import Reading
from rafm_kernels import (
    FIELD_MODELS,
    Model,
    Optimizer,
    check_fields_fit,
    load_backend,
    plain_zeros,
)
from rafm_kernels import make_layout as kernels_layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rafm_bench.progress import Reporter
    from rafm_datasets import PreparedData
    from rafm_kernels import Allocate, Backend, Loss, RankLayout

TASK_LOSS: dict[str, Loss] = {"classification": "log", "regression": "square"}
_ONE_THREAD = Reading()


@dataclass(frozen=True, slots=True)
class Job:
    """Config, data and what was made of them; `counts` are the training counts.

    `reading` and `allocate`, how rows are read and where arrays are, change no result.
    """

    config: TrainConfig
    data: PreparedData
    counts: NDArray[np.int64]
    model: Model
    optimizer: Optimizer
    backend: Backend
    report: Reporter
    execution: Execution
    reading: Reading = _ONE_THREAD
    allocate: Allocate = plain_zeros


def make_job(
    config: TrainConfig,
    data: PreparedData,
    report: Reporter,
    execution: Execution = STANDARD,
) -> Job:
    """Make a job; UserError where config and data do not go together."""
    loss = _loss(config, data)
    config = replace(config, loss=loss)
    needed = ("train",) if config.validation == "progressive" else ("train", "valid")
    for split in needed:
        if split not in data.splits:
            raise UserError(
                f"{data.folder}: split {split} holds no rows, and training needs them; "
                f"prepare the data with rows in {' and '.join(needed)}"
            )
    if config.threads > 1 and config.backend == "numba":
        report.say("backend numba uses one thread; numba-parallel uses --threads")
    layout = make_layout(config, data, report)
    with door():
        return Job(
            config=config,
            data=data,
            counts=data.train_counts(),
            model=Model(config.model, layout, loss, config.projection),
            optimizer=config.make_optimizer(),
            backend=load_backend(config.backend),
            report=report,
            execution=execution,
        )


def make_layout(
    config: TrainConfig, data: PreparedData, report: Reporter
) -> RankLayout:
    """Lay the config's ranks out over the data's features."""
    levels = None
    if config.levels is not None:
        levels = read_levels(Path(config.levels), data, len(config.ranks), report)
    n_fields = None
    if config.model in FIELD_MODELS:
        n_fields = len(data.fields)
        _check_fields(config, data)
    with door():
        return kernels_layout(
            config.model,
            level_counts(data),
            config.ranks,
            config.rank_rule,
            thresholds=config.thresholds or None,
            levels=levels,
            n_fields=n_fields,
        )


def _check_fields(config: TrainConfig, data: PreparedData) -> None:
    """Refuse data on which a model of fields makes no sense, by the manifest's."""
    try:
        check_fields_fit(config.model, len(data.fields))
    except ValueError as error:
        names = ", ".join(field.name for field in data.fields)
        raise UserError(f"{data.folder} (fields: {names}): {error}") from None
    several = [field.name for field in data.fields if field.multi]
    if config.model == "mrma" and several:
        raise UserError(
            f"{data.folder}: model 'mrma' needs one feature of each of two fields in a "
            f"row, and field {several[0]} holds several; use 'rafm' or 'difacto'"
        )


def layout_of_flags(
    flags: dict[str, Any], data: PreparedData, report: Reporter
) -> RankLayout | None:
    """Lay out the ranks that flags ask for; None where no flag was given."""
    if not flags:
        return None
    return make_layout(TrainConfig(**flags), data, report)


def _loss(config: TrainConfig, data: PreparedData) -> Loss:
    loss = config.loss or TASK_LOSS[data.task]
    if loss == "log" and data.task == "regression":
        raise UserError(
            f"{data.folder}: loss log needs labels 0 and 1, and this data holds "
            "ratings; use --loss square"
        )
    return loss
