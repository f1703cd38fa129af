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
from rafm_kernels.backends.numba_pairs import pair_steps
from rafm_kernels.backends.numba_steps import (
    feature_step,
    fetch_entry,
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
    shape, n_fields, settings, parameters, kept, work, scratch, batch, row, alone,
    fetch, last_fetch,
):  # fmt: skip
    """One step of each feature of the row at place 0, as `scatter_entries`.

    With `alone`, see `pairs_alone`, `gather` need not have kept the row's vectors.
    Asks for memory as `_scatter_row` does.
    """
    health = 0.0  # stays finite as long as all that is added is
    stride = shape.columns[len(shape.dims)]
    x, slopes = scratch.x, scratch.slopes
    first = batch.indptr[row]
    n = batch.indptr[row + 1] - first
    for e in range(n):
        i = np.int64(batch.ids[first + e])
        c = work.slope[0] * x[e]
        slopes[e] = c
        c += settings.l2 * parameters.linear[i]
        health += linear_step(settings, parameters, kept, i, c)
    if alone:
        health += pair_steps(
            n_fields, n, shape, settings, parameters, kept, scratch, batch, fetch,
            last_fetch,
        )  # fmt: skip
        fetch += n
    for e in range(n if n > 1 and not alone else 0):
        fetch_entry(shape, settings, parameters, kept, batch, fetch, last_fetch)
        fetch += 1
        mark_fields_of_row(n_fields, batch, first + e, work, scratch.touched)
        i = np.int64(batch.ids[first + e])
        health += _table_steps(
            shape, n_fields, settings, parameters, kept, work.sums, e * stride, 0,
            work.entries, slopes, e, e + 1, 1.0, scratch, i,
        )  # fmt: skip
    for e in range(fetch, last_fetch):
        fetch_entry(shape, settings, parameters, kept, batch, e, last_fetch)
    return math.isfinite(health)


@jit
def _table_steps(
    shape, n_fields, settings, parameters, kept, vectors, base, stride, entries, x,
    begin, end, scale, scratch, i,
):  # fmt: skip
    """One step of feature i's row in each table; returns the sum of their |g|^2."""
    total = 0.0
    g = scratch.g
    for k in range(len(shape.dims)):
        to = base + shape.columns[k]
        if n_fields is None or settings.l2 == 0:
            total += feature_step(
                settings, shape, parameters, kept, k, i, vectors, to, stride, entries,
                x, begin, end, 0.0, scale, settings.rate, g,
            )  # fmt: skip
            continue
        dim = shape.dims[k]
        at = shape.tables[k] + i * dim
        gradient(
            parameters.embeddings, at, dim, vectors, to, stride, entries, x, begin, end,
            0.0, scale, 0.0, g,
        )  # fmt: skip
        square = add_l2(
            n_fields, parameters.embeddings, at, dim, scratch.touched, settings.l2, g
        )
        total += square
        table_step(settings, shape, parameters, kept, k, i, g, square, settings.rate)
    return total
