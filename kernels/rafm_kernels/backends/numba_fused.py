"""Compiled steps of one row each, by one thread.

A batch of one row needs no transpose: each of its features is in it once, and what the
row read is still in the nearest cache when the features make their steps. Numbers are
those of a batch of one row within rounding: which products and sums are made as one is
the compiler's choice in each loop.
"""

from __future__ import annotations

import math

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_entries import scatter_row_entries
from rafm_kernels.backends.numba_ffm import gather_ffm
from rafm_kernels.backends.numba_gather import add_losses, gather
from rafm_kernels.backends.numba_mrma import gather_mrma
from rafm_kernels.backends.numba_pairs import pairs_alone
from rafm_kernels.backends.numba_scatter import bias_step
from rafm_kernels.backends.numba_steps import (
    at_step,
    feature_step,
    fetch_entry,
    linear_step,
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
        now = at_step(settings, settings.steps_before + r + 1)
        alone = pairs_alone(n_fields, settings, batch, r)
        if by_entry is None:
            gather(shape, now, parameters, batch, r, work, scratch, 0, 1, 1)
        elif n_fields is None:
            gather_mrma(shape, now, parameters, batch, r, work, scratch, 0, 1, 1)
        else:
            gather_ffm(
                shape, n_fields, now, parameters, batch, r, work, scratch, 0, 1, 1,
                not alone,
            )  # fmt: skip
        if not add_losses(work, m, 1, loss_sums):
            return r, r
        fetch = batch.indptr[min(r + AHEAD, n_rows)]
        last_fetch = batch.indptr[min(r + AHEAD + 1, n_rows)]
        finite = bias_step(now, parameters, kept, work, 1)
        if by_entry is None:
            stepped = _scatter_row(
                shape, now, parameters, kept, work, scratch, batch, fetch, last_fetch
            )
        else:
            stepped = scatter_row_entries(
                shape, n_fields, now, parameters, kept, work, scratch, batch, r, alone,
                fetch, last_fetch,
            )  # fmt: skip
        if not (finite and stepped):
            return r, r
    return n_rows, -1


@jit
def _scatter_row(
    shape, settings, parameters, kept, work, scratch, batch, fetch, last_fetch
):
    """One step of each feature of the row that `gather` put at place 0.

    Meanwhile asks for what the batch's entries fetch..last_fetch will read: one now,
    one then, since a row's whole memory at once waits for itself.
    Returns whether their gradients, and the linear weights, are finite.
    """
    m = len(shape.dims)
    ids, x, within = scratch.ids, scratch.x, scratch.within
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
            fetch_entry(shape, settings, parameters, kept, batch, fetch, last_fetch)
            fetch += 1
            dependent = e < n_next
            own = work.toward[k] if dependent else slope
            health += feature_step(
                settings, shape, parameters, kept, k, ids[e],
                work.nexts if dependent else work.sums, shape.columns[k], 0, work.rows,
                x, e, e + 1, own * x[e] * x[e], 1.0,
                settings.dependent_rate if dependent else settings.rate, scratch.g,
            )  # fmt: skip
    for e in range(fetch, last_fetch):
        fetch_entry(shape, settings, parameters, kept, batch, e, last_fetch)
    return math.isfinite(health)
