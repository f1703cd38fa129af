"""Compiled steps of one row each, by one thread.

A batch of one row needs no transpose: each of its features is in it once, and what the
row read is still in the nearest cache when the features make their steps. Every number
is computed as in the steps of larger batches, so the bits are the same.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_blocks import gradient
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_entries import scatter_row_entries
from rafm_kernels.backends.numba_ffm import gather_ffm
from rafm_kernels.backends.numba_gather import add_losses, gather
from rafm_kernels.backends.numba_mrma import gather_mrma
from rafm_kernels.backends.numba_scatter import bias_step
from rafm_kernels.backends.numba_steps import (
    at_step,
    fetch_feature,
    linear_step,
    table_step,
)

AHEAD = 2  # rows between asking for memory and using it


@jit
def row_steps(
    by_entry, n_fields, shape, settings, parameters, kept, work, batch, loss_sums,
    scratch,
):  # fmt: skip
    """Make one step for each row; arguments and result as in `numba_run.train_part`."""
    m = len(shape.dims)
    n_rows = len(batch.labels)
    for r in range(n_rows):
        if r + AHEAD < n_rows:
            _fetch_row(shape, settings, parameters, kept, batch, r + AHEAD)
        now = at_step(settings, settings.steps_before + r + 1)
        if by_entry is None:
            gather(shape, now, parameters, batch, r, work, scratch, 0, 1, 1)
        elif n_fields is None:
            gather_mrma(shape, now, parameters, batch, r, work, scratch, 0, 1, 1)
        else:
            gather_ffm(
                shape, n_fields, now, parameters, batch, r, work, scratch, 0, 1, 1
            )
        if not add_losses(work, m, 1, loss_sums):
            return r, r
        finite = bias_step(now, parameters, kept, work, 1)
        if by_entry is None:
            stepped = _scatter_row(shape, now, parameters, kept, work, scratch)
        else:
            stepped = scatter_row_entries(
                shape, n_fields, now, parameters, kept, work, scratch, batch, r
            )
        if not (finite and stepped):
            return r, r
    return n_rows, -1


@jit
def _fetch_row(shape, settings, parameters, kept, batch, row):
    """Ask for all that the steps of a row's features read."""
    for e in range(batch.indptr[row], batch.indptr[row + 1]):
        fetch_feature(shape, settings, parameters, kept, np.int64(batch.ids[e]))


@jit
def _scatter_row(shape, settings, parameters, kept, work, scratch):
    """One step of each feature of the row that `gather` put at place 0.

    Returns whether their gradients, and the linear weights, are finite.
    """
    m = len(shape.dims)
    ids, x, within, g = scratch.ids, scratch.x, scratch.within, scratch.g
    slope = work.slope[0]
    health = 0.0  # stays finite as long as all that is added is
    for e in range(within[0]):
        i = ids[e]
        slope_i = slope * x[e] + settings.l2 * parameters.linear[i]
        health += linear_step(settings, parameters, kept, i, slope_i)
    for k in range(m):
        if within[k] < 2:  # no pair at this level
            break
        n_next = within[k + 1] if shape.dependents[k] else 0
        for e in range(within[k]):
            i = ids[e]
            dependent = e < n_next
            own = work.toward[k] if dependent else slope
            square = gradient(
                parameters.embeddings, shape.tables[k] + i * shape.dims[k],
                shape.dims[k], work.nexts if dependent else work.sums,
                shape.columns[k], 0, work.rows, x, e, e + 1, own * x[e] * x[e], 1.0,
                settings.l2, g,
            )  # fmt: skip
            health += square
            rate = settings.dependent_rate if dependent else settings.rate
            table_step(settings, shape, parameters, kept, k, i, g, square, rate)
    return math.isfinite(health)
