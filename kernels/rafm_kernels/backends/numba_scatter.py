"""Compiled second half of a step: over a batch's distinct features, one step each.

A feature sums its rows' parts in row order and writes to its own parameters only, so
any cut of the features into parts gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_arrays import (
    ADAGRAD,
    ADAGRAD_ROW,
    GRADIENT_ONLY,
    SGD,
)
from rafm_kernels.backends.numba_blocks import adagrad_step, gradient, plain_step
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_gather import value_of
from rafm_kernels.backends.simd import prefetch

AHEAD = 8  # features between asking for memory and using it


@jit
def transpose(batch, start, n_rows, work):
    """List the distinct features of a batch with their rows, in row order."""
    first = batch.indptr[start]
    last = batch.indptr[start + n_rows]
    n = 0
    for e in range(first, last):
        i = batch.ids[e]
        f = work.place[i]
        if f < 0:
            f = np.int32(n)
            work.place[i] = f
            work.distinct[f] = i
            work.starts[f + 1] = 0
            n += 1
        work.number[e - first] = f
        work.starts[f + 1] += 1
    work.starts[0] = 0
    for f in range(n):
        work.place[work.distinct[f]] = -1
        work.starts[f + 1] += work.starts[f]
    for r in range(n_rows):
        for e in range(batch.indptr[start + r], batch.indptr[start + r + 1]):
            f = work.number[e - first]
            at = work.starts[f]
            work.starts[f] = at + 1
            work.rows[at] = r
            work.x[at] = value_of(batch.values, e)
    for f in range(n, 0, -1):  # filling moved every start to the next one
        work.starts[f] = work.starts[f - 1]
    work.starts[0] = 0
    return n


@jit
def scalar_step(settings, values, squares, i, g):
    """One step of a bias or linear weight."""
    if settings.optimizer == SGD:
        values[i] -= settings.rate * g
    elif settings.optimizer == GRADIENT_ONLY:
        squares[i] = g
    else:
        squares[i] += g * g
        values[i] -= settings.rate * g / (math.sqrt(squares[i]) + settings.epsilon)


@jit
def table_step(settings, shape, parameters, sums, k, i, g, square, rate):
    """One step of v_i^(k) from its gradient g, whose |g|^2 is `square`."""
    dim = shape.dims[k]
    at = shape.tables[k] + i * dim
    table = parameters.embeddings
    if settings.optimizer == SGD:
        plain_step(table, at, dim, g, rate)
    elif settings.optimizer == ADAGRAD:
        adagrad_step(table, sums.embeddings, at, dim, g, rate, settings.epsilon)
    elif settings.optimizer == ADAGRAD_ROW:
        row = shape.rows[k] + i
        a = sums.embeddings[row] + square / dim
        sums.embeddings[row] = a
        plain_step(table, at, dim, g, rate / (math.sqrt(a) + settings.epsilon))
    else:
        for d in range(dim):
            sums.embeddings[at + d] = g[d]


@jit
def _fetch_row(array, at, dim):
    """Ask for the cache lines of array[at : at + dim]."""
    per_line = 64 // array.itemsize
    d = 0
    while d < dim:
        prefetch(array, at + d)
        d += per_line


@jit
def fetch_feature(shape, settings, parameters, sums, i):
    """Ask for all that one feature's step reads: nearly always cold in the tail."""
    prefetch(parameters.linear, i)
    if settings.optimizer != SGD:
        prefetch(sums.linear, i)
    for k in range(len(shape.dims)):
        if i >= shape.sizes[k]:
            break
        dim = shape.dims[k]
        at = shape.tables[k] + i * dim
        _fetch_row(parameters.embeddings, at, dim)
        if settings.optimizer == ADAGRAD:
            _fetch_row(sums.embeddings, at, dim)
        elif settings.optimizer == ADAGRAD_ROW:
            prefetch(sums.embeddings, shape.rows[k] + i)


@jit
def scatter(
    shape, settings, parameters, sums, work, scratch, n_rows, first, last, n_distinct
):
    """One step of each of the batch's distinct features first..last."""
    m = len(shape.dims)
    stride = shape.columns[m]
    scale = 1.0 / n_rows
    g = scratch.g
    for f in range(first, min(first + AHEAD, last)):
        fetch_feature(shape, settings, parameters, sums, work.distinct[f])
    for f in range(first, last):
        if f + AHEAD < n_distinct:
            fetch_feature(shape, settings, parameters, sums, work.distinct[f + AHEAD])
        i = np.int64(work.distinct[f])
        begin = work.starts[f]
        end = work.starts[f + 1]
        total = 0.0
        for e in range(begin, end):
            total += work.slope[work.rows[e]] * work.x[e]
        total = total * scale + settings.l2 * parameters.linear[i]
        scalar_step(settings, parameters.linear, sums.linear, i, total)
        for k in range(m):
            if i >= shape.sizes[k]:
                break
            dependent = i < shape.sizes[k + 1]
            weight, touched = _own_weight(work, m, k, dependent, begin, end)
            if not touched:
                continue
            square = gradient(
                parameters.embeddings, shape.tables[k] + i * shape.dims[k],
                shape.dims[k], work.nexts if dependent else work.sums,
                shape.columns[k], stride, work.rows, work.x, begin, end, weight, scale,
                settings.l2, g,
            )  # fmt: skip
            rate = settings.dependent_rate if dependent else settings.rate
            table_step(settings, shape, parameters, sums, k, i, g, square, rate)


@jit
def _own_weight(work, m, k, dependent, begin, end):
    """Sum of coefficient x^2, and whether a row pairs the feature at this level."""
    weight = 0.0
    touched = False
    for e in range(begin, end):
        r = work.rows[e]
        if work.active[r * m + k] > 1:
            touched = True
            slope = work.toward[r * m + k] if dependent else work.slope[r]
            weight += slope * work.x[e] * work.x[e]
    return weight, touched


@jit
def bias_step(settings, parameters, sums, work, n_rows):
    """One step of the bias, from the slopes in row order."""
    total = 0.0
    for r in range(n_rows):
        total += work.slope[r]
    scalar_step(settings, parameters.bias, sums.bias, 0, total / n_rows)
