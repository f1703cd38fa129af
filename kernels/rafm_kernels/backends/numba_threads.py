"""Backend `numba-parallel`: compiled, several threads, the bits of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_kernels.backends import numba_run
from rafm_kernels.backends.numba_arrays import (
    ADAGRAD,
    ADAGRAD_ROW,
    ADAM,
    ADAM_DENSE,
    FTRL,
    GRADIENT_ONLY,
    SGD,
    Kept,
    Settings,
    Shape,
)
from rafm_kernels.backends.numba_sync import give_up, make_meeting
from rafm_kernels.batch import Batch, slice_rows
from rafm_kernels.calls import check_call, check_train_call
from rafm_kernels.contract import TrainReport
from rafm_kernels.model import FIELD_MODELS
from rafm_kernels.parameters import (
    Parameters,
    table_offsets,
    tables,
    zero_parameters,
)
from rafm_kernels.state import nothing, row_offsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rafm_kernels.contract import Backend
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.state import TrainState

_OPTIMIZERS = {
    "sgd": SGD,
    "adagrad": ADAGRAD,
    "adagrad-row": ADAGRAD_ROW,
    "adam": ADAM,
    "adam-dense": ADAM_DENSE,
    "ftrl": FTRL,
}
_SANE_RATE = 1e6


def scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    out = np.empty(batch.n_rows)
    _score(model, parameters, batch, out, np.empty((0, 0)), n_threads)
    return out


def level_scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row by every B_1k; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    levels = np.empty((model.layout.n_levels, batch.n_rows))
    _score(model, parameters, batch, np.empty(batch.n_rows), levels, n_threads)
    return levels


def gradients(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> Parameters:
    """Mean gradient over the rows; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    dtype = parameters.linear.dtype
    found = zero_parameters(model.layout, dtype)
    if batch.n_rows:
        found.bias[0] = np.nan  # stays where the loss is not finite: no step is made
    settings = Settings(GRADIENT_ONLY, model.loss == "log", model.projection == "joint")
    kept, size = Kept(found, nothing(dtype)), max(batch.n_rows, 1)
    _train(model, settings, parameters, kept, batch, size, n_threads)
    if np.isnan(found.bias[0]):
        for array in found:
            array.fill(np.nan)
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
    check_train_call(model, state, optimizer, batch, batch_size, n_threads)
    if _may_overshoot(optimizer):
        return _watched_steps(model, state, optimizer, batch, batch_size, n_threads)
    return _make_steps(model, state, optimizer, batch, batch_size, n_threads)


def _make_steps(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    batch_size: int,
    n_threads: int,
) -> TrainReport:
    settings = _settings(model, optimizer, int(state.step[0]))
    kept = Kept(state.sums, state.moments)
    report = _train(
        model, settings, state.parameters, kept, batch, batch_size, n_threads
    )
    state.step[0] += report.n_steps
    return report


def _may_overshoot(optimizer: Optimizer) -> bool:
    """Whether a step may make an embedding infinite whose gradient's square is not.

    Compiled steps look at that square alone: to look at each embedding as well takes 5
    to 10 % of a step at rank 8. A gradient is then below 2e19 in float32, and no
    optimizer's step is larger than 1e8 rate times that (Adam's, with its epsilon below
    the fraction): at a sane rate far from the largest float, 3e38.
    """
    return max(optimizer.learning_rate, optimizer.dependent_rate) > _SANE_RATE


def _watched_steps(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    batch_size: int,
    n_threads: int,
) -> TrainReport:
    """Make one step in each call, and look at the parameters after it."""
    loss_sum, level_sums = 0.0, np.zeros(model.layout.n_levels)
    starts = range(0, batch.n_rows, batch_size)
    for step, start in enumerate(starts):
        part = slice_rows(batch, start, start + batch_size)
        report = _make_steps(model, state, optimizer, part, batch_size, n_threads)
        loss_sum += report.loss_sum
        level_sums += report.level_loss_sums
        if report.bad_step >= 0:
            return TrainReport(step, loss_sum, level_sums, step)
        if not _touched_are_finite(model, state.parameters, part):
            state.step[0] -= 1
            return TrainReport(step, loss_sum, level_sums, step)
    return TrainReport(len(starts), loss_sum, level_sums, -1)


def _touched_are_finite(model: Model, parameters: Parameters, batch: Batch) -> bool:
    ids = np.unique(batch.ids)
    rows = [part[ids[ids < len(part)]] for part in tables(parameters, model.layout)]
    arrays = (parameters.bias, parameters.linear[ids], *rows)
    return all(bool(np.isfinite(array).all()) for array in arrays)


def _train(
    model: Model,
    settings: Settings,
    parameters: Parameters,
    kept: Kept,
    batch: Batch,
    batch_size: int,
    n_threads: int,
) -> TrainReport:
    shape, rows = _shape(model), _rows(model, batch, parameters.linear.dtype)
    loss_sums = np.zeros(model.layout.n_levels + 1)
    work = numba_run.make_shared_work(shape, parameters, rows, batch_size)
    meeting, shared = make_meeting(), np.zeros(3, np.int64)
    if batch_size == 1 and settings.optimizer != ADAM_DENSE:
        # A row is too little to share: threads would only wait.
        n_threads = 1

    def part() -> Any:
        return numba_run.train_part(
            meeting, shared, n_threads, shape, settings, parameters, kept, work, rows,
            batch_size, loss_sums,
        )  # fmt: skip

    n_steps, bad_step = _run(part, n_threads, meeting)
    return TrainReport(n_steps, loss_sums[0], loss_sums[1:], bad_step)


def _score(
    model: Model,
    parameters: Parameters,
    batch: Batch,
    out: NDArray[np.float64],
    levels: NDArray[np.float64],
    n_threads: int,
) -> None:
    shape, rows = _shape(model), _rows(model, batch, parameters.linear.dtype)
    meeting = make_meeting()

    def part() -> None:
        numba_run.score_part(meeting, shape, parameters, rows, out, levels)

    _run(part, n_threads, meeting)


def _run(part: Callable[[], Any], n_threads: int, meeting: NDArray[np.int64]) -> Any:
    """Run `part` in that many threads, this one among them; return what it returns.

    One that fails, or cannot start, makes all end: others would wait for it for ever.
    """

    def guarded() -> Any:
        try:
            return part()
        except BaseException:
            give_up(meeting)
            raise

    if n_threads == 1:
        return part()
    with ThreadPoolExecutor(n_threads - 1) as pool:
        try:
            others = [pool.submit(guarded) for _ in range(n_threads - 1)]
        except BaseException:
            give_up(meeting)
            raise
        result = guarded()
        for other in others:
            other.result()
    return result


def _settings(model: Model, optimizer: Optimizer, steps_before: int) -> Settings:
    """Describe a model's choices and an optimizer to compiled code."""
    return Settings(
        _OPTIMIZERS[optimizer.name],
        model.loss == "log",
        model.projection == "joint",
        rate=float(optimizer.learning_rate),
        dependent_rate=float(optimizer.dependent_rate),
        l2=float(optimizer.gradient_l2),
        steps_before=steps_before,
        l1=float(optimizer.l1),
        own_l2=float(optimizer.own_l2),
        beta=float(optimizer.beta),
        beta1=float(optimizer.beta1),
        beta2=float(optimizer.beta2),
    )


def _shape(model: Model) -> Shape:
    """Describe a model's layout to compiled code."""
    layout = model.layout
    dims = np.asarray(layout.table_dims, dtype=np.int64)
    padded = -(-dims // 16) * 16  # a row's sums begin on a cache line at each level
    return Shape(
        dims,
        np.asarray([*layout.features_at_rank, 0], dtype=np.int64),
        np.asarray(model.dependents, dtype=np.int64),
        table_offsets(layout),
        row_offsets(model),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(padded)]),
        by_entry=True if model.name in FIELD_MODELS else None,
        n_fields=model.n_fields or None,
    )


def _rows(model: Model, batch: Batch, dtype: np.dtype[Any]) -> Batch:
    """Copy read-only arrays, and those of another type: values are to have `dtype`.

    Compiled code would be another one for each; the reference casts values as well.
    """

    def checked(array: Any, kind: Any = None) -> Any:
        return None if array is None else np.require(array, kind, ["C", "W"])

    return Batch(
        checked(batch.indptr, np.int64),
        checked(batch.ids, np.int32),
        checked(batch.values, dtype),
        checked(batch.fields, np.int32) if model.n_fields else None,
        checked(batch.labels),
    )


if TYPE_CHECKING:
    from rafm_kernels.backends import numba_threads as _module

    _checked: Backend = _module
