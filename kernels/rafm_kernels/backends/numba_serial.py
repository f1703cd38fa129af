"""Backend `numba`: compiled, one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_kernels.backends.numba_cache import cached_jit
from rafm_kernels.backends.numba_steps import (
    ADAGRAD,
    ADAGRAD_ROW,
    GRADIENT_ONLY,
    SGD,
    Settings,
    Shape,
    add_losses,
    bias_step,
    gather,
    largest_batch,
    make_scratch,
    make_work,
    scatter,
    score_rows,
    transpose,
)
from rafm_kernels.batch import Batch
from rafm_kernels.contract import TrainReport
from rafm_kernels.optimizers import EPSILON, Optimizer, TrainState, row_offsets
from rafm_kernels.parameters import Parameters, table_offsets, zero_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_kernels.contract import Backend
    from rafm_kernels.model import Model

_OPTIMIZERS = {"sgd": SGD, "adagrad": ADAGRAD, "adagrad-row": ADAGRAD_ROW}


def scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row; as in `Backend`."""
    out = np.empty(batch.n_rows)
    no_levels = np.empty((0, 0))
    _score(shape_of(model), parameters, writable(batch), out, no_levels)
    return out


def level_scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row by every B_1k; as in `Backend`."""
    out = np.empty(batch.n_rows)
    levels = np.empty((model.layout.n_levels, batch.n_rows))
    _score(shape_of(model), parameters, writable(batch), out, levels)
    return levels


def gradients(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> Parameters:
    """Mean gradient over the rows; as in `Backend`."""
    found = zero_parameters(model.layout, parameters.linear.dtype)
    settings = Settings(
        GRADIENT_ONLY,
        model.loss == "log",
        model.projection == "joint",
        0.0,
        0.0,
        0.0,
        0.0,
    )
    _train(
        shape_of(model),
        settings,
        parameters,
        found,
        writable(batch),
        max(batch.n_rows, 1),
        np.zeros(model.layout.n_levels + 1),
    )
    return found


def train(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    batch_size: int,
    n_threads: int = 1,
) -> TrainReport:
    """Make one step for each `batch_size` rows; as in `Backend`."""
    loss_sums = np.zeros(model.layout.n_levels + 1)
    n_steps, bad_step = _train(
        shape_of(model),
        settings_of(model, optimizer),
        state.parameters,
        state.sums,
        writable(batch),
        batch_size,
        loss_sums,
    )
    state.step[0] += n_steps
    return TrainReport(n_steps, loss_sums[0], loss_sums[1:], bad_step)


def shape_of(model: Model) -> Shape:
    """Describe a model's layout to compiled code."""
    layout = model.layout
    dims = np.asarray(layout.rank_dims, dtype=np.int64)
    padded = -(-dims // 16) * 16  # a row's sums begin on a cache line at each level
    return Shape(
        dims,
        np.asarray([*layout.features_at_rank, 0], dtype=np.int64),
        table_offsets(layout),
        row_offsets(model),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(padded)]),
    )


def settings_of(model: Model, optimizer: Optimizer) -> Settings:
    """Describe an optimizer and a model's choices to compiled code."""
    return Settings(
        _OPTIMIZERS[optimizer.name],
        model.loss == "log",
        model.projection == "joint",
        float(optimizer.learning_rate),
        float(optimizer.dependent_rate),
        float(optimizer.l2),
        EPSILON,
    )


def writable(batch: Batch) -> Batch:
    """Copy arrays that are read-only: compiled code would be another one for them."""

    def checked(array: Any) -> Any:
        return None if array is None else np.require(array, requirements=["C", "W"])

    return Batch(*(checked(array) for array in batch))._replace(fields=None)


@cached_jit
def _score(shape, parameters, batch, out, levels):
    scratch = make_scratch(shape, parameters.linear, batch.indptr)
    score_rows(shape, parameters, batch, out, levels, scratch, 0, len(batch.labels))


@cached_jit
def _train(shape, settings, parameters, sums, batch, batch_size, loss_sums):
    """Return the steps made, and the step whose loss was not finite or -1."""
    n_rows = len(batch.labels)
    m = len(shape.dims)
    work = make_work(
        shape,
        len(parameters.linear),
        parameters.linear,
        min(batch_size, n_rows),
        largest_batch(batch.indptr, batch_size),
    )
    scratch = make_scratch(shape, parameters.linear, batch.indptr)
    step = 0
    for start in range(0, n_rows, batch_size):
        n = min(batch_size, n_rows - start)
        gather(shape, settings, parameters, batch, start, work, scratch, 0, n)
        if not add_losses(work, m, n, loss_sums):
            return step, step
        n_distinct = transpose(batch, start, n, work)
        bias_step(settings, parameters, sums, work, n)
        scatter(shape, settings, parameters, sums, work, scratch, n, 0, n_distinct)
        step += 1
    return step, -1


if TYPE_CHECKING:
    from rafm_kernels.backends import numba_serial as _module

    _checked: Backend = _module
