"""Compiled second half of a step: over a batch's distinct features, one step each.

A feature sums its rows' parts in row order and writes to its own parameters only, so
any cut of the features into parts gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_gather import value_of
from rafm_kernels.backends.numba_steps import (
    feature_step,
    fetch_feature,
    linear_step,
    scalar_step,
)

AHEAD = 8  # features between asking for memory and using it


@jit
def transpose(by_entry, batch, start, n_rows, work):
    """List the distinct features of a batch with their rows, in row order.

    And with their entries in those rows, where a model keeps something for each.
    """
    first = batch.indptr[start]
    last = batch.indptr[start + n_rows]
    n = np.int32(0)
    for e in range(first, last):
        i = batch.ids[e]
        work.distinct[n] = i  # stays if i is new; to tell by a branch would be to guess
        work.starts[n + 1] = 0
        f = work.place[i]
        new = f >> np.int32(31)  # all bits if i has no place, which is -1
        f = (f & ~new) | (n & new)
        n -= new
        work.place[i] = f
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
            if by_entry is not None:
                work.entries[at] = e - first
    for f in range(n, 0, -1):  # filling moved every start to the next one
        work.starts[f] = work.starts[f - 1]
    work.starts[0] = 0
    return n


@jit
def scatter(
    shape, settings, parameters, kept, work, scratch, n_rows, first, last, n_distinct
):
    """One step of each of the batch's distinct features first..last.

    Returns whether their gradients, and the linear weights, are finite.
    """
    m = len(shape.dims)
    stride = shape.columns[m]
    scale = 1.0 / n_rows
    health = 0.0  # stays finite as long as all that is added is
    for f in range(first, min(first + AHEAD, last)):
        fetch_feature(shape, settings, parameters, kept, work.distinct[f], 0)
    for f in range(first, last):
        if f + AHEAD < n_distinct:
            fetch_feature(
                shape, settings, parameters, kept, work.distinct[f + AHEAD], 0
            )
        i = np.int64(work.distinct[f])
        begin = work.starts[f]
        end = work.starts[f + 1]
        total = 0.0
        for e in range(begin, end):
            total += work.slope[work.rows[e]] * work.x[e]
        total = total * scale + settings.l2 * parameters.linear[i]
        health += linear_step(settings, parameters, kept, i, total)
        for k in range(m):
            if i >= shape.sizes[k]:
                break
            dependent = i < shape.dependents[k]
            weight, touched = _own_weight(work, m, k, dependent, begin, end)
            if not touched:
                continue
            health += feature_step(
                settings, shape, parameters, kept, k, i,
                work.nexts if dependent else work.sums, shape.columns[k], stride,
                work.rows, work.x, begin, end, weight, scale,
                settings.dependent_rate if dependent else settings.rate, scratch.g,
            )  # fmt: skip
    return math.isfinite(health)


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
def bias_step(settings, parameters, kept, work, n_rows):
    """One step of the bias, from the slopes in row order; whether it is finite."""
    total = 0.0
    for r in range(n_rows):
        total += work.slope[r]
    health = scalar_step(
        settings, parameters.bias, kept.sums.bias, kept.moments.bias, 0,
        total / n_rows, 0.0, 0.0,
    )  # fmt: skip
    return math.isfinite(health)
