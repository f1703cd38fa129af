"""Compiled mini-batch steps: gather over rows, then scatter over distinct features.

Parameters are frozen while a batch is gathered; each feature then sums its rows' parts
in row order and makes one step. Nothing is written by two features or two rows, so any
cut of the rows, and of the features, into parts gives the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rafm_kernels.backends.numba_blocks import (
    adagrad_step,
    blend,
    gradient,
    pair_sums,
    plain_step,
)
from rafm_kernels.backends.numba_cache import allocating_jit, jit
from rafm_kernels.backends.simd import prefetch

SGD, ADAGRAD, ADAGRAD_ROW, GRADIENT_ONLY = range(4)

AHEAD = 8  # features between asking for memory and using it


class Shape(NamedTuple):
    """A rank layout as arrays: all int64, `m` levels.

    `sizes` is |F_k| with a last 0; `tables`, `rows` and `columns` say where each level
    begins in the embeddings, among one-number-a-row arrays, and among a row's sums.
    """

    dims: np.ndarray
    sizes: np.ndarray
    tables: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


class Settings(NamedTuple):
    """An optimizer and a model's choices as numbers."""

    optimizer: int
    log_loss: bool
    joint: bool
    rate: float
    dependent_rate: float
    l2: float
    epsilon: float


class Work(NamedTuple):
    """Scratch for batches up to a size; see `make_work`."""

    sums: np.ndarray  # float[B * columns]   s_k, then slope s_k
    nexts: np.ndarray  # float[B * columns]   t_k, then what dependent factors take
    slope: np.ndarray  # float64[B]   loss'(z_m, y)
    toward: np.ndarray  # float64[B * m]   loss'(z_k, z_k+1)
    active: np.ndarray  # int32[B * m]   features of F_k in the row
    losses: np.ndarray  # float64[B * (m + 1)]   loss of z_m, and of each z_k
    place: np.ndarray  # int32[n_features]   a feature's number in the batch, or -1
    distinct: np.ndarray  # int32[n_entries]   features of the batch
    starts: np.ndarray  # int64[n_entries + 1]   where each one's rows begin
    number: np.ndarray  # int32[n_entries]   the number of each entry's feature
    rows: np.ndarray  # int64[n_entries]
    x: np.ndarray  # float[n_entries]


class Scratch(NamedTuple):
    """What one thread needs for the row or the feature at hand; see `make_scratch`."""

    ids: np.ndarray  # int64[longest row]
    x: np.ndarray  # float[longest row]
    within: np.ndarray  # int64[m + 2]   features of the row in F_k
    scores: np.ndarray  # float64[m + 1]   z_k
    g: np.ndarray  # float[D_m]   gradient of a feature


@allocating_jit
def make_scratch(shape, dtype_like, indptr):
    """Scratch for one thread over the rows of `indptr`."""
    m = len(shape.dims)
    longest = 0
    for r in range(len(indptr) - 1):
        longest = max(longest, indptr[r + 1] - indptr[r])
    return Scratch(
        np.empty(longest, np.int64),
        np.empty(longest, dtype_like.dtype),
        np.zeros(m + 2, np.int64),
        np.empty(m + 1, np.float64),
        np.empty(shape.dims[m - 1] if m else 0, dtype_like.dtype),
    )


@allocating_jit
def make_work(shape, n_features, dtype_like, n_rows, n_entries):
    """Scratch for batches of up to that many rows and entries."""
    m = len(shape.dims)
    columns = shape.columns[m]
    float_ = dtype_like.dtype
    return Work(
        np.empty(n_rows * columns, float_),
        np.empty(n_rows * columns, float_),
        np.empty(n_rows, np.float64),
        np.empty(n_rows * m, np.float64),
        np.empty(n_rows * m, np.int32),
        np.empty(n_rows * (m + 1), np.float64),
        np.full(n_features, np.int32(-1), np.int32),
        np.empty(n_entries, np.int32),
        np.empty(n_entries + 1, np.int64),
        np.empty(n_entries, np.int32),
        np.empty(n_entries, np.int64),
        np.empty(n_entries, float_),
    )


@jit
def _sigmoid(z):
    e = math.exp(-abs(z))
    return 1.0 / (1.0 + e) if z >= 0 else e / (1.0 + e)


@jit
def _loss(log_loss, z, y):
    if log_loss:
        return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))
    return (z - y) * (z - y)


@jit
def _value(values, e):
    """x_i of an entry: 1 where the batch keeps no values."""
    if values is None:
        return 1.0
    return values[e]


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
                x[n] = _value(batch.values, e)
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
def largest_batch(indptr, batch_size):
    """Entries of the largest batch of `batch_size` consecutive rows."""
    n_rows = len(indptr) - 1
    largest = 0
    for start in range(0, n_rows, batch_size):
        stop = min(start + batch_size, n_rows)
        largest = max(largest, indptr[stop] - indptr[start])
    return largest


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
            n_next = within[k + 1] if k + 1 < m else 0
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
            n_next = within[k + 1] if k + 1 < m else 0
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
            work.losses[r * (m + 1) + k + 1] = _loss(settings.log_loss, scores[k], y)
        work.losses[r * (m + 1)] = _loss(settings.log_loss, z, y)
        slope = (_sigmoid(z) if settings.log_loss else z) - y
        work.slope[r] = slope
        reach = slope if settings.joint else 0.0
        for k in range(m):
            toward = 0.0
            if k + 1 < m and within[k + 1] > 0:
                if settings.log_loss:
                    toward = _sigmoid(scores[k]) - _sigmoid(scores[k + 1])
                else:
                    toward = scores[k] - scores[k + 1]
            work.toward[r * m + k] = toward
            if within[k] > 1:
                at = r * stride + shape.columns[k]
                blend(work.sums, work.nexts, at, shape.dims[k], slope, toward, reach)


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
            work.x[at] = _value(batch.values, e)
    for f in range(n, 0, -1):  # filling moved every start to the next one
        work.starts[f] = work.starts[f - 1]
    work.starts[0] = 0
    return n


@jit
def _scalar_step(settings, values, squares, i, g):
    """One step of a bias or linear weight."""
    if settings.optimizer == SGD:
        values[i] -= settings.rate * g
    elif settings.optimizer == GRADIENT_ONLY:
        squares[i] = g
    else:
        squares[i] += g * g
        values[i] -= settings.rate * g / (math.sqrt(squares[i]) + settings.epsilon)


@jit
def _table_step(settings, shape, parameters, sums, k, i, g, square, rate):
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
def _fetch_feature(shape, settings, parameters, sums, i):
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
        _fetch_feature(shape, settings, parameters, sums, work.distinct[f])
    for f in range(first, last):
        if f + AHEAD < n_distinct:
            _fetch_feature(shape, settings, parameters, sums, work.distinct[f + AHEAD])
        i = np.int64(work.distinct[f])
        begin = work.starts[f]
        end = work.starts[f + 1]
        total = 0.0
        for e in range(begin, end):
            total += work.slope[work.rows[e]] * work.x[e]
        total = total * scale + settings.l2 * parameters.linear[i]
        _scalar_step(settings, parameters.linear, sums.linear, i, total)
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
            _table_step(settings, shape, parameters, sums, k, i, g, square, rate)


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
    _scalar_step(settings, parameters.bias, sums.bias, 0, total / n_rows)


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
