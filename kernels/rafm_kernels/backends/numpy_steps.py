"""The reference's steps: what a gradient makes of the rows of a table, in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rafm_kernels.optimizers import EPSILON, Optimizer
from rafm_kernels.parameters import Parameters, tables
from rafm_kernels.state import row_offsets

if TYPE_CHECKING:
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Pace
    from rafm_kernels.state import TrainState

Array = NDArray[Any]


class Gradient(NamedTuple):
    """Mean gradient of the rows of a table that a batch touches."""

    ids: Array  # int64[n]   distinct
    values: Array  # float[n, width]
    touched: Array  # bool[n, width]   numbers that L2 shrinks


class Table(NamedTuple):
    """A table, what the optimizer keeps of it, and how it is stepped."""

    values: Array  # float[n, width]
    sums: Array  # the same, or float[n, 1], or empty
    moments: Array  # the same, or empty
    n_dependent: int  # rows below it take the dependent factors' rate
    gradient_l2: float
    own_l2: float
    l1: float


def step_all(
    model: Model, state: TrainState, optimizer: Optimizer, found: list[Gradient]
) -> bool:
    """Step what a batch touches, by the gradients of `state_tables`' order.

    Returns whether the gradients, of embeddings their squares, and the parameters
    touched are finite.
    """
    pace = optimizer.pace(int(state.step[0]) + 1)
    finite = True
    stepped = zip(state_tables(model, state, optimizer), found, strict=True)
    for place, (table, gradient) in enumerate(stepped):
        g = gradient.values
        l2 = g.dtype.type(table.gradient_l2) * gradient.touched
        g = g + l2 * table.values[gradient.ids]
        _step(optimizer, pace, table, gradient.ids, g)
        if optimizer.name == "adam-dense":
            _decay(optimizer, pace, table)
        size = g if place < 2 else (g * g).sum(axis=1)  # bias and linear weights first
        finite = finite and bool(np.isfinite(size).all())
        finite = finite and bool(np.isfinite(table.values[gradient.ids]).all())
    return finite


def state_tables(model: Model, state: TrainState, optimizer: Optimizer) -> list[Table]:
    """Bias, linear weights, and each level's embeddings, with what is kept of them."""
    parameters, l2, own = state.parameters, optimizer.gradient_l2, optimizer.own_l2
    linear_own = own if optimizer.name == "ftrl" else 0.0
    kept = (
        _kept_tables(model, optimizer, state.sums),
        _kept_tables(model, optimizer, state.moments),
    )
    values = [
        parameters.bias[:, None],
        parameters.linear[:, None],
        *tables(parameters, model.layout),
    ]
    penalties = [(0.0, 0.0, 0.0), (l2, linear_own, optimizer.l1)]
    penalties += [(l2, own, optimizer.l1)] * model.layout.n_levels
    rows = zip(values, *kept, (0, 0, *model.dependents), penalties, strict=True)
    return [Table(v, a, u, n, *p) for v, a, u, n, p in rows]


def _rates(table: Table, pace: Pace, ids: Array) -> Array:
    """Learning rate of each of these rows: float[n, 1]."""
    rates = np.where(ids < table.n_dependent, pace.dependent_rate, pace.rate)
    return rates[:, None].astype(table.values.dtype)


def _kept_tables(model: Model, optimizer: Optimizer, kept: Parameters) -> list[Array]:
    layout = model.layout
    embeddings: tuple[Array, ...]
    if not len(kept.bias):
        embeddings = (kept.embeddings[:, None],) * layout.n_levels
    elif optimizer.name == "adagrad-row":
        rows = row_offsets(model)
        embeddings = tuple(np.split(kept.embeddings[:, None], rows[1:-1]))
        embeddings = embeddings if layout.n_levels else ()
    else:
        embeddings = tables(kept, layout)
    return [kept.bias[:, None], kept.linear[:, None], *embeddings]


def _step(optimizer: Optimizer, pace: Pace, table: Table, at: Array, g: Array) -> None:
    """Change the rows `at` of a table, and of what is kept of them, in place."""
    number = g.dtype.type
    values, sums, moments = table[:3]
    rate, name, epsilon = _rates(table, pace, at), optimizer.name, number(EPSILON)
    beta1, beta2 = number(optimizer.beta1), number(optimizer.beta2)
    if name == "sgd":
        values[at] -= rate * g
    elif name in ("adagrad", "adagrad-row"):
        by_row = name == "adagrad-row"
        sums[at] += (g * g).mean(axis=1, keepdims=True) if by_row else g * g
        values[at] -= rate * g / (np.sqrt(sums[at]) + epsilon)
    elif name == "adam":
        moments[at] = beta1 * moments[at] + number(1 - optimizer.beta1) * g
        sums[at] = beta2 * sums[at] + number(1 - optimizer.beta2) * g * g
        root = np.sqrt(sums[at]) * number(pace.root_scale)
        values[at] -= rate * moments[at] / (root + epsilon)
    elif name == "adam-dense":  # `_decay` adds h to every gradient: the rest of (g+h)^2
        h = number(table.own_l2) * values[at]
        moments[at] += number(1 - optimizer.beta1) * g
        sums[at] += number(1 - optimizer.beta2) * ((g + h) ** 2 - h**2)
    else:
        before = np.sqrt(sums[at])
        sums[at] += g * g
        root = np.sqrt(sums[at])
        z = moments[at] + (g - (root - before) / rate * values[at])
        moments[at] = z
        shrunk = np.clip(z, -number(table.l1), number(table.l1)) - z
        values[at] = shrunk / (
            (number(optimizer.beta) + root) / rate + number(table.own_l2)
        )


def _decay(optimizer: Optimizer, pace: Pace, table: Table) -> None:
    """Move a whole table by `adam-dense`; let u and a decay for the next step.

    Rounding may leave less than 0 of an `a` that (g + h)^2 - h^2 was added to.
    """
    values, sums, moments = table[:3]
    rates = _rates(table, pace, np.arange(len(values)))
    number = values.dtype.type
    h = number(table.own_l2) * values
    u = moments + number(1 - optimizer.beta1) * h
    a = np.maximum(sums + number(1 - optimizer.beta2) * h**2, 0)
    root = np.sqrt(a) * number(pace.root_scale)
    values -= rates * u / (root + number(EPSILON))
    moments[...] = number(optimizer.beta1) * u
    sums[...] = number(optimizer.beta2) * a
