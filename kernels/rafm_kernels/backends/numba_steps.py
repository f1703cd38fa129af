"""Compiled steps: what a gradient makes of one parameter, and of one embedding.

The equations stand in `Optimizer`. Which one runs is told at run time: one test for
each embedding, beside memory that has to come from afar.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_adagrad import adagrad_step, descend
from rafm_kernels.backends.numba_arrays import (
    ADAGRAD,
    ADAGRAD_ROW,
    ADAM,
    ADAM_DENSE,
    FTRL,
    GRADIENT_ONLY,
    SGD,
    Settings,
)
from rafm_kernels.backends.numba_blocks import gradient, plain_step
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_moments import (
    adam_step,
    collect_step,
    decay_step,
    ftrl_step,
)
from rafm_kernels.backends.simd import fetch_row, prefetch

# Numbers at a table's begin: from row to row, its most frequent features stay in a near
# cache.
NEAR = 1 << 17
LOT = 8192  # numbers that a thread takes together when all of them move


@jit
def at_step(settings, t):
    """Return the settings of step number t, from 1: `Optimizer.pace`."""
    rate, dependent_rate, root_scale = settings.rate, settings.dependent_rate, 1.0
    if settings.optimizer == ADAM or settings.optimizer == ADAM_DENSE:
        first = 1.0 - settings.beta1 ** float(t)
        rate /= first
        dependent_rate /= first
        root_scale = 1.0 / math.sqrt(1.0 - settings.beta2 ** float(t))
    return Settings(
        settings.optimizer, settings.log_loss, settings.joint, rate, dependent_rate,
        settings.l2, settings.epsilon, settings.steps_before, root_scale, settings.l1,
        settings.own_l2, settings.beta, settings.beta1, settings.beta2,
    )  # fmt: skip


@jit
def scalar_step(settings, values, sums, moments, i, g, l1, own_l2):
    """One step of a bias or linear weight.

    Returns a number that is finite if the gradient and the weight after the step are:
    to add up, and to look at once for many.
    """
    if settings.optimizer == SGD:
        values[i] -= settings.rate * g
    elif settings.optimizer == GRADIENT_ONLY:
        sums[i] = g
    elif settings.optimizer == ADAM:
        moments[i] = settings.beta1 * moments[i] + (1.0 - settings.beta1) * g
        sums[i] = settings.beta2 * sums[i] + (1.0 - settings.beta2) * g * g
        root = math.sqrt(sums[i]) * settings.root_scale
        values[i] -= settings.rate * moments[i] / (root + settings.epsilon)
    elif settings.optimizer == ADAM_DENSE:
        moments[i] += (1.0 - settings.beta1) * g
        sums[i] += (1.0 - settings.beta2) * g * g
    elif settings.optimizer == FTRL:
        before = math.sqrt(sums[i])
        sums[i] += g * g
        root = math.sqrt(sums[i])
        z = moments[i] + (g - (root - before) / settings.rate * values[i])
        moments[i] = z
        shrunk = max(min(z, l1), -l1) - z
        values[i] = shrunk / ((settings.beta + root) / settings.rate + own_l2)
    else:
        sums[i] += g * g
        values[i] -= settings.rate * g / (math.sqrt(sums[i]) + settings.epsilon)
    return abs(g) + abs(values[i])


@jit
def linear_step(settings, parameters, kept, i, g):
    """One step of a linear weight; returns what `scalar_step` does."""
    return scalar_step(
        settings, parameters.linear, kept.sums.linear, kept.moments.linear, i, g,
        settings.l1, settings.own_l2,
    )  # fmt: skip


@jit
def table_step(settings, shape, parameters, kept, k, i, g, square, rate):
    """One step of v_i^(k) from its gradient g, whose |g|^2 is `square`."""
    dim = shape.dims[k]
    at = shape.tables[k] + i * dim
    table = parameters.embeddings
    sums = kept.sums.embeddings
    moments = kept.moments.embeddings
    if settings.optimizer == SGD:
        plain_step(table, at, dim, g, rate)
    elif settings.optimizer == ADAGRAD:
        adagrad_step(table, sums, at, dim, g, rate, settings.epsilon)
    elif settings.optimizer == ADAGRAD_ROW:
        row = shape.rows[k] + i
        a = sums[row] + square / dim
        sums[row] = a
        plain_step(table, at, dim, g, rate / (math.sqrt(a) + settings.epsilon))
    elif settings.optimizer == ADAM:
        adam_step(table, sums, moments, at, dim, g, rate, settings)
    elif settings.optimizer == ADAM_DENSE:
        collect_step(table, sums, moments, at, dim, g, settings)
    elif settings.optimizer == FTRL:
        ftrl_step(table, sums, moments, at, dim, g, rate, settings)
    else:
        for d in range(dim):
            sums[at + d] = g[d]


@jit
def feature_step(
    settings, shape, parameters, kept, k, i, vectors, base, stride, rows, x, first,
    last, weight, scale, rate, g,
):  # fmt: skip
    """One step of v_i^(k) from its rows, as `gradient` takes them; returns |g|^2."""
    dim = shape.dims[k]
    at = shape.tables[k] + i * dim
    table = parameters.embeddings
    if settings.optimizer == ADAGRAD:
        return descend(
            table, kept.sums.embeddings, at, dim, vectors, base, stride, rows, x, first,
            last, weight, scale, settings.l2, rate, settings.epsilon,
        )  # fmt: skip
    square = gradient(
        table, at, dim, vectors, base, stride, rows, x, first, last, weight, scale,
        settings.l2, g,
    )  # fmt: skip
    table_step(settings, shape, parameters, kept, k, i, g, square, rate)
    return square


@jit
def fetch_feature(shape, settings, parameters, kept, i, near):
    """Ask for all that one feature's step reads: nearly always cold in the tail.

    But not for what lies in the first `near` numbers of a table.
    """
    prefetch(parameters.linear, i)
    if settings.optimizer != SGD:
        prefetch(kept.sums.linear, i)
    has_moments = settings.optimizer >= ADAM
    if has_moments:
        prefetch(kept.moments.linear, i)
    for k in range(len(shape.dims)):
        if i >= shape.sizes[k]:
            break
        dim = shape.dims[k]
        if i * dim < near:
            continue
        at = shape.tables[k] + i * dim
        fetch_row(parameters.embeddings, at, dim)
        if settings.optimizer == ADAGRAD or has_moments:
            fetch_row(kept.sums.embeddings, at, dim)
        elif settings.optimizer == ADAGRAD_ROW:
            prefetch(kept.sums.embeddings, shape.rows[k] + i)
        if has_moments:
            fetch_row(kept.moments.embeddings, at, dim)


@jit
def fetch_entry(shape, settings, parameters, kept, batch, e, last):
    """Ask for all that the step of entry e's feature reads, if e is before `last`."""
    if e < last:
        fetch_feature(shape, settings, parameters, kept, np.int64(batch.ids[e]), NEAR)


@jit
def dense_lot(shape, settings, parameters, kept, task):
    """Move lot number `task` of all parameters, for `adam-dense`.

    The bias is in lot 0; a lot is as far in the linear weights as in the embeddings.
    Returns whether anything was left to move.
    """
    first = task * LOT
    last = first + LOT
    n_linear = len(parameters.linear)
    n_embeddings = len(parameters.embeddings)
    if first >= max(n_linear, n_embeddings):
        return False
    if task == 0:
        decay_step(
            parameters.bias, kept.sums.bias, kept.moments.bias, 0, 1, settings.rate,
            0.0, settings,
        )  # fmt: skip
    decay_step(
        parameters.linear, kept.sums.linear, kept.moments.linear, first,
        min(last, n_linear), settings.rate, 0.0, settings,
    )  # fmt: skip
    for part in range(2 * len(shape.dims)):  # at each level dependent, then free
        k = part // 2
        dependent = part % 2 == 0
        cut = shape.dependents[k]
        begin = shape.tables[k] + (0 if dependent else cut) * shape.dims[k]
        end = shape.tables[k] + (cut if dependent else shape.sizes[k]) * shape.dims[k]
        rate = settings.dependent_rate if dependent else settings.rate
        decay_step(
            parameters.embeddings, kept.sums.embeddings, kept.moments.embeddings,
            max(first, begin), min(last, end), rate, settings.own_l2, settings,
        )  # fmt: skip
    return True
