"""Compiled first half of a step: over rows, scores, slopes, and what factors take.

Parameters are frozen while a batch is gathered. A row writes to its own place only, so
any cut of the rows into parts gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from rafm_kernels.backends.numba_blocks import blend, pair_sums
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.simd import prefetch


@jit
def value_of(values, e):
    """x_i of an entry: 1 where the batch keeps no values."""
    if values is None:
        return 1.0
    return values[e]


@jit
def slope_of(log_loss, z, y):
    """Slope of a row's loss at its score."""
    return (_sigmoid(z) if log_loss else z) - y


@jit
def _sigmoid(z):
    e = math.exp(-abs(z))
    return 1.0 / (1.0 + e) if z >= 0 else e / (1.0 + e)


@jit
def loss_of(log_loss, z, y):
    """Loss of a row."""
    if log_loss:
        return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))
    return (z - y) * (z - y)


@jit
def read_row(shape, batch, row, ids, x, within):
    """Copy a row's entries, those of the highest level first; within[k] = n in F_k."""
    m = len(shape.dims)
    start = batch.indptr[row]
    stop = batch.indptr[row + 1]
    n = 0
    for k in range(max(m, 1) - 1, -1, -1):
        low = shape.sizes[k + 1] if m else 0
        high = shape.sizes[k] if k else np.int64(2**62)
        for e in range(start, stop):
            i = batch.ids[e]
            if low <= i < high:
                ids[n] = i
                x[n] = value_of(batch.values, e)
                n += 1
        within[k] = n
    within[m] = 0 if m else n
    return n


@jit
def linear_score(parameters, ids, x, n):
    """Add up bias + sum_i w_i x_i, in float64."""
    z = np.float64(parameters.bias[0])
    for e in range(n):
        z += parameters.linear[ids[e]] * x[e]
    return z


@jit
def score_rows(shape, parameters, batch, out, levels, scratch, first, last):
    """z_m of rows first..last to `out`; if `levels` has rows, every z_k to it instead.

    For z_m alone, a level k < m at which a row has no free feature is skipped: there
    A_kk = A_k,k+1.
    """
    m = len(shape.dims)
    table = parameters.embeddings
    ids, x, within = scratch.ids, scratch.x, scratch.within
    all_levels = levels.shape[0] > 0
    for r in range(first, last):
        n = read_row(shape, batch, r, ids, x, within)
        z = linear_score(parameters, ids, x, n)
        for k in range(m):
            n_all = within[k]
            n_next = within[k + 1] if shape.dependents[k] else 0
            if n_all < 2 or (not all_levels and n_all == n_next):
                own = shared = 0.0
            else:
                own, shared = pair_sums(
                    table, shape.tables[k], shape.dims[k], ids, x, n_next, n_all,
                    False, table, table, 0,
                )  # fmt: skip
            z += own
            if all_levels:
                levels[k, r] = z
            if n_next > 1:
                z -= shared
        out[r] = z


@jit
def _fetch_entries(shape, parameters, batch, row):
    """Ask for the weights and the first line of each embedding of a row."""
    for e in range(batch.indptr[row], batch.indptr[row + 1]):
        i = np.int64(batch.ids[e])
        prefetch(parameters.linear, i)
        for k in range(len(shape.dims)):
            if i >= shape.sizes[k]:
                break
            prefetch(parameters.embeddings, shape.tables[k] + i * shape.dims[k])


@jit
def gather(
    shape, settings, parameters, batch, start, work, scratch, first, last, n_rows
):
    """Take sums, slopes and losses of rows first..last; the batch begins at `start`."""
    m = len(shape.dims)
    stride = shape.columns[m]
    table = parameters.embeddings
    ids, x, within, scores = scratch.ids, scratch.x, scratch.within, scratch.scores
    for r in range(first, last):
        if r + 1 < n_rows:
            _fetch_entries(shape, parameters, batch, start + r + 1)
        y = np.float64(batch.labels[start + r])
        n = read_row(shape, batch, start + r, ids, x, within)
        z = linear_score(parameters, ids, x, n)
        for k in range(m):
            n_all = within[k]
            n_next = within[k + 1] if shape.dependents[k] else 0
            own = shared = 0.0
            if n_all > 1:
                own, shared = pair_sums(
                    table, shape.tables[k], shape.dims[k], ids, x, n_next, n_all,
                    True, work.sums, work.nexts, r * stride + shape.columns[k],
                )  # fmt: skip
            elif n_all == 1:  # no pair: it adds exactly 0 to its feature's gradient
                at = r * stride + shape.columns[k]
                work.sums[at : at + shape.dims[k]] = 0
                work.nexts[at : at + shape.dims[k]] = 0
            z += own
            scores[k] = z
            if n_next > 1:
                z -= shared
            work.active[r * m + k] = n_all
            work.losses[r * (m + 1) + k + 1] = loss_of(settings.log_loss, scores[k], y)
        work.losses[r * (m + 1)] = loss_of(settings.log_loss, z, y)
        slope = slope_of(settings.log_loss, z, y)
        work.slope[r] = slope
        reach = slope if settings.joint else 0.0
        for k in range(m):
            toward = 0.0
            if shape.dependents[k] and within[k + 1] > 0:
                if settings.log_loss:
                    toward = _sigmoid(scores[k]) - _sigmoid(scores[k + 1])
                else:
                    toward = scores[k] - scores[k + 1]
            work.toward[r * m + k] = toward
            if within[k] > 1:
                at = r * stride + shape.columns[k]
                blend(work.sums, work.nexts, at, shape.dims[k], slope, toward, reach)


@jit
def add_losses(work, m, n_rows, loss_sums):
    """Add a batch's losses, in row order, unless that of z_m is not finite.

    `loss_sums` is float64[m + 1]: z_m, then each z_k. Returns whether it is finite.
    """
    total = 0.0
    for r in range(n_rows):
        total += work.losses[r * (m + 1)]
    if not math.isfinite(total):
        return False
    loss_sums[0] += total
    for k in range(1, m + 1):
        part = 0.0
        for r in range(n_rows):
            part += work.losses[r * (m + 1) + k]
        loss_sums[k] += part
    return True
