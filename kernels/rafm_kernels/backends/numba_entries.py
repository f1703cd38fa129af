"""Compiled second half of a step for models that keep a vector for each entry.

In MRMA and FFM what a feature multiplies is not a sum that a whole row shares: `gather`
writes a vector for each entry (a feature of a row), as wide as all tables. Times x_e,
it is the slope of z by that feature's numbers.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_blocks import gradient
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_ffm import add_l2, mark_fields, mark_fields_of_row
from rafm_kernels.backends.numba_steps import (
    fetch_feature,
    linear_step,
    table_step,
)

AHEAD = 4  # features between asking for memory and using it: their rows are long


@jit
def scatter_entries(
    shape, n_fields, settings, parameters, kept, work, scratch, batch, start, n_rows,
    first, last, n_distinct,
):  # fmt: skip
    """One step of each of the batch's distinct features first..last, as `scatter`."""
    health = 0.0  # stays finite as long as all that is added is
    stride = shape.columns[len(shape.dims)]
    scale = 1.0 / n_rows
    for f in range(first, min(first + AHEAD, last)):
        fetch_feature(shape, settings, parameters, kept, work.distinct[f])
    for f in range(first, last):
        if f + AHEAD < n_distinct:
            fetch_feature(shape, settings, parameters, kept, work.distinct[f + AHEAD])
        i = np.int64(work.distinct[f])
        begin = work.starts[f]
        end = work.starts[f + 1]
        total = 0.0
        for e in range(begin, end):
            c = work.slope[work.rows[e]] * work.x[e]
            work.x[e] = c
            total += c
        total = total * scale + settings.l2 * parameters.linear[i]
        health += linear_step(settings, parameters, kept, i, total)
        if mark_fields(n_fields, batch, start, work, scratch.touched, begin, end):
            health += _table_steps(
                shape, n_fields, settings, parameters, kept, work.sums, 0, stride,
                work.entries, work.x, begin, end, scale, scratch, i,
            )  # fmt: skip
    return math.isfinite(health)


@jit
def scatter_row_entries(
    shape, n_fields, settings, parameters, kept, work, scratch, batch, row
):
    """One step of each feature of the row at place 0, as `scatter_entries`."""
    health = 0.0  # stays finite as long as all that is added is
    stride = shape.columns[len(shape.dims)]
    x = scratch.x
    first = batch.indptr[row]
    n = batch.indptr[row + 1] - first
    for e in range(n):
        i = np.int64(batch.ids[first + e])
        c = work.slope[0] * x[e]
        x[e] = c
        c += settings.l2 * parameters.linear[i]
        health += linear_step(settings, parameters, kept, i, c)
    for e in range(n if n > 1 else 0):
        mark_fields_of_row(n_fields, batch, first + e, work, scratch.touched)
        health += _table_steps(
            shape, n_fields, settings, parameters, kept, work.sums, e * stride, 0,
            work.entries, x, e, e + 1, 1.0, scratch, np.int64(batch.ids[first + e]),
        )  # fmt: skip
    return math.isfinite(health)


@jit
def _table_steps(
    shape, n_fields, settings, parameters, kept, vectors, base, stride, entries, x,
    begin, end, scale, scratch, i,
):  # fmt: skip
    """One step of feature i's row in each table; returns the sum of their |g|^2."""
    total = 0.0
    g = scratch.g
    l2 = settings.l2 if n_fields is None else 0.0
    for k in range(len(shape.dims)):
        at = shape.tables[k] + i * shape.dims[k]
        square = gradient(
            parameters.embeddings, at, shape.dims[k], vectors, base + shape.columns[k],
            stride, entries, x, begin, end, 0.0, scale, l2, g,
        )  # fmt: skip
        if n_fields is not None and settings.l2 > 0:
            square = add_l2(
                n_fields, parameters.embeddings, at, shape.dims[k], scratch.touched,
                settings.l2, g,
            )  # fmt: skip
        total += square
        table_step(settings, shape, parameters, kept, k, i, g, square, settings.rate)
    return total
