"""The reference backend: the equations in NumPy, for reading and for comparing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rafm_kernels.backends.numpy_fields import EntryLevel, ffm_levels, mrma_levels
from rafm_kernels.backends.numpy_steps import Gradient, step_all
from rafm_kernels.batch import Batch, slice_rows
from rafm_kernels.calls import check_call, check_train_call
from rafm_kernels.contract import TrainReport
from rafm_kernels.losses import level_slopes, loss_values, slopes
from rafm_kernels.model import FIELD_MODELS
from rafm_kernels.parameters import Parameters, tables, zero_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_kernels.contract import Backend
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.state import TrainState

Array = NDArray[Any]


class _Level(NamedTuple):
    """What one level k makes of a batch; `e` runs over the entries with i in F_k."""

    ids: Array  # int32[e]
    rows: Array  # int64[e]
    x: Array  # float[e, 1]
    xv: Array  # float[e, D_k]   x_i v_i
    sums: Array  # float[n_rows, D_k]   s_k
    next_sums: Array  # float[n_rows, D_k]   t_k
    dependent: Array  # bool[e]   i in F_k+1
    paired: Array  # bool[e]   the row has another feature of F_k
    own: Array  # float[n_rows]   A_kk
    shared: Array  # float[n_rows]   A_k,k+1


def scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    z: NDArray[np.float64] = _forward(model, parameters, batch)[1][-1]
    return z


def level_scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row by every B_1k; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    return _forward(model, parameters, batch)[1][1:]


def gradients(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> Parameters:
    """Mean gradient over the rows; as in `Backend`."""
    check_call(model, parameters, batch, n_threads)
    dense = zero_parameters(model.layout, parameters.linear.dtype)
    with np.errstate(all="ignore"):
        levels, z = _forward(model, parameters, batch)
        losses = loss_values(model.loss, z[-1], batch.labels)
    if not np.isfinite(losses).all():
        for array in dense:
            array.fill(np.nan)
        return dense
    slope = slopes(model.loss, z[-1], batch.labels)
    dense.bias[0] = slope.sum() / max(1, batch.n_rows)
    linear = _linear_gradient(batch, slope, parameters.linear.dtype)
    dense.linear[linear.ids] = linear.values[:, 0]
    targets = tables(dense, model.layout)
    for k, (level, table) in enumerate(zip(levels, targets, strict=True)):
        found = _table_gradient(model, batch, level, k, z, slope)
        table[found.ids] = found.values
    return dense


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
    loss_sums = np.zeros(model.layout.n_levels + 1)
    starts = range(0, batch.n_rows, batch_size)
    for step, start in enumerate(starts):
        part = slice_rows(batch, start, start + batch_size)
        with np.errstate(all="ignore"):  # what is not finite is told in the report
            levels, z = _forward(model, state.parameters, part)
            losses = loss_values(model.loss, z, part.labels).sum(axis=1)
            if not np.isfinite(losses[-1]):
                return TrainReport(step, loss_sums[-1], loss_sums[1:], step)
            loss_sums += losses
            if not _apply(model, state, optimizer, part, levels, z):
                return TrainReport(step, loss_sums[-1], loss_sums[1:], step)
        state.step[0] += 1
    return TrainReport(len(starts), loss_sums[-1], loss_sums[1:], -1)


def _entries(batch: Batch, dtype: Any) -> tuple[Array, Array]:
    """Row and value of each entry."""
    rows = np.repeat(np.arange(batch.n_rows), np.diff(batch.indptr))
    if batch.values is None:
        return rows, np.ones(len(rows), dtype)
    return rows, batch.values.astype(dtype, copy=False)


def _linear_scores(parameters: Parameters, batch: Batch) -> NDArray[np.float64]:
    rows, x = _entries(batch, parameters.linear.dtype)
    terms = x * parameters.linear[batch.ids]
    z = np.full(batch.n_rows, parameters.bias[0], np.float64)
    np.add.at(z, rows, terms)
    return z


def _levels(model: Model, parameters: Parameters, batch: Batch) -> list[_Level]:
    """Compute s_k, t_k, A_kk and A_k,k+1 of each level (Eq. 7)."""
    rows, x = _entries(batch, parameters.linear.dtype)
    sizes = model.layout.features_at_rank
    found = []
    for k, table in enumerate(tables(parameters, model.layout)):
        inside = batch.ids < sizes[k]
        ids, row, value = batch.ids[inside], rows[inside], x[inside][:, None]
        xv = value * table[ids]
        dependent = ids < model.dependents[k]
        counts = np.bincount(row, minlength=batch.n_rows)
        sums, own = _pair_sum(xv, row, batch.n_rows)
        next_sums, shared = _pair_sum(xv[dependent], row[dependent], batch.n_rows)
        paired = counts[row] > 1
        found.append(
            _Level(ids, row, value, xv, sums, next_sums, dependent, paired, own, shared)
        )
    return found


def _pair_sum(xv: Array, rows: Array, n_rows: int) -> tuple[Array, Array]:
    """Row sums of x_i v_i, and 1/2 (|sum|^2 - sum_i |x_i v_i|^2) of each row.

    In float64, for the difference loses digits. A row with one feature has no pair:
    exactly 0, not what rounding leaves.
    """
    sums = np.zeros((n_rows, xv.shape[1]))
    squares = np.zeros_like(sums)
    np.add.at(sums, rows, xv)
    np.add.at(squares, rows, xv.astype(np.float64) ** 2)
    pairs = 0.5 * (sums**2 - squares).sum(axis=1)
    pairs[np.bincount(rows, minlength=n_rows) < 2] = 0.0
    return sums.astype(xv.dtype), pairs


def _combine(linear: NDArray[np.float64], levels: list[_Level]) -> NDArray[np.float64]:
    """Scores by Theorem 3, float64[m + 1, n_rows]: the linear part, z_1 ... z_m."""
    z = [linear]
    if levels:
        z.append(linear + levels[0].own)
    for lower, upper in itertools.pairwise(levels):
        z.append(z[-1] - lower.shared + upper.own)
    return np.stack(z)


def _forward(
    model: Model, parameters: Parameters, batch: Batch
) -> tuple[Sequence[_Level | EntryLevel], NDArray[np.float64]]:
    """Take what each level makes of a batch, and scores as `_combine` gives them."""
    linear = _linear_scores(parameters, batch)
    if model.name in FIELD_MODELS:
        _, x = _entries(batch, parameters.linear.dtype)
        of_fields = mrma_levels if model.name == "mrma" else ffm_levels
        entry_levels, added = of_fields(model, parameters, batch, x)
        return entry_levels, np.stack([linear, *(linear + part for part in added)])
    levels = _levels(model, parameters, batch)
    return levels, _combine(linear, levels)


def _linear_gradient(batch: Batch, slope: NDArray[np.float64], dtype: Any) -> Gradient:
    rows, x = _entries(batch, dtype)
    return _sum_by_id(batch.ids, (slope[rows] * x)[:, None], batch.n_rows, dtype)


def _table_gradient(
    model: Model,
    batch: Batch,
    level: _Level | EntryLevel,
    k: int,
    z: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> Gradient:
    if isinstance(level, _Level):
        return _level_gradient(model, level, k, z, slope)
    rows, x = _entries(batch, level.vectors.dtype)
    paired = level.touched.any(axis=1)
    terms = (slope[rows] * x)[:, None] * level.vectors
    touched = level.touched[paired]
    return _sum_by_id(
        batch.ids[paired], terms[paired], len(slope), level.vectors.dtype, touched
    )


def _level_gradient(
    model: Model,
    level: _Level,
    k: int,
    z: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> Gradient:
    """Gradient of one table by Algorithm 1, and of the joint projection if asked."""
    dtype = level.xv.dtype
    coefficient = slope[level.rows]
    if level.dependent.any():
        toward_next = level_slopes(model.loss, z[k + 1], z[k + 2])
        coefficient = np.where(level.dependent, toward_next[level.rows], coefficient)
    e = level.x * (level.sums[level.rows] - level.xv)
    g = coefficient[:, None].astype(dtype) * e
    if model.projection == "joint":
        free_sums = (level.sums - level.next_sums)[level.rows] * level.x
        reach = np.where(level.dependent, slope[level.rows], 0.0)
        g += reach[:, None].astype(dtype) * free_sums
    return _sum_by_id(level.ids[level.paired], g[level.paired], len(slope), dtype)


def _sum_by_id(
    ids: Array, terms: Array, n_rows: int, dtype: Any, touched: Array | None = None
) -> Gradient:
    """Add up terms by id; `touched` says which numbers of a term count, None: all."""
    distinct, group = np.unique(ids, return_inverse=True)
    touches = np.full((len(distinct), terms.shape[1]), touched is None)
    if touched is not None:
        np.logical_or.at(touches, group, touched)
    sums = np.zeros((len(distinct), terms.shape[1]), dtype)
    np.add.at(sums, group, terms.astype(dtype, copy=False))
    sums /= n_rows
    return Gradient(distinct, sums, touches)


def _apply(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    levels: Sequence[_Level | EntryLevel],
    z: NDArray[np.float64],
) -> bool:
    """Step every parameter that the batch touches; all gradients are taken first."""
    dtype = state.parameters.linear.dtype
    slope = slopes(model.loss, z[-1], batch.labels)
    mean = np.full((1, 1), slope.mean(), dtype)
    bias = Gradient(np.zeros(1, np.int64), mean, np.ones((1, 1), bool))
    linear = _linear_gradient(batch, slope, dtype)
    found = [
        _table_gradient(model, batch, level, k, z, slope)
        for k, level in enumerate(levels)
    ]
    return step_all(model, state, optimizer, [bias, linear, *found])


if TYPE_CHECKING:
    from rafm_kernels.backends import numpy_reference as _module

    _checked: Backend = _module
