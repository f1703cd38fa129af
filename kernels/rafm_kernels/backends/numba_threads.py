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
from rafm_kernels.batch import Batch
from rafm_kernels.contract import TrainReport
from rafm_kernels.fields import check_batch
from rafm_kernels.model import FIELD_MODELS
from rafm_kernels.parameters import Parameters, table_offsets, zero_parameters
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


def scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row; as in `Backend`."""
    out = np.empty(batch.n_rows)
    _score(model, parameters, batch, out, np.empty((0, 0)), n_threads)
    return out


def level_scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row by every B_1k; as in `Backend`."""
    levels = np.empty((model.layout.n_levels, batch.n_rows))
    _score(model, parameters, batch, np.empty(batch.n_rows), levels, n_threads)
    return levels


def gradients(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> Parameters:
    """Mean gradient over the rows; as in `Backend`."""
    dtype = parameters.linear.dtype
    found = zero_parameters(model.layout, dtype)
    settings = Settings(GRADIENT_ONLY, model.loss == "log", model.projection == "joint")
    kept, size = Kept(found, nothing(dtype)), max(batch.n_rows, 1)
    _train(model, settings, parameters, kept, batch, size, n_threads)
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
    settings = _settings(model, optimizer, int(state.step[0]))
    kept = Kept(state.sums, state.moments)
    report = _train(
        model, settings, state.parameters, kept, batch, batch_size, n_threads
    )
    state.step[0] += report.n_steps
    return report


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
    """Check a batch; copy read-only arrays, and values of another type than `dtype`.

    Compiled code would be another one for each; the reference casts values as well.
    """
    check_batch(model, batch)

    def checked(array: Any, kind: Any = None) -> Any:
        return None if array is None else np.require(array, kind, ["C", "W"])

    return Batch(
        checked(batch.indptr),
        checked(batch.ids),
        checked(batch.values, dtype),
        checked(batch.fields) if model.n_fields else None,
        checked(batch.labels),
    )


if TYPE_CHECKING:
    from rafm_kernels.backends import numba_threads as _module

    _checked: Backend = _module
