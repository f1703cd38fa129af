"""Compiled MRMA: the two features of a row meet at every level, mixed by a softmax.

The last number of a feature's row of a table is its log weight at that level.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_gather import loss_of, slope_of, value_of
from rafm_kernels.backends.simd import fetch_row, lanes, prefetch


def _dot_block(n: int) -> Any:
    load, _, _, total, _ = lanes(n)

    @jit
    def dot_block(table, a, b):
        return total(load(table, a) * load(table, b))

    return dot_block


def _copy_block(n: int) -> Any:
    load, store, splat, _, _ = lanes(n)

    @jit
    def copy_block(table, at, vectors, to, factor):
        store(vectors, to, splat(table, factor) * load(table, at))

    return copy_block


_dot_32, _dot_8, _dot_1 = (_dot_block(n) for n in (32, 8, 1))
_copy_32, _copy_8, _copy_1 = (_copy_block(n) for n in (32, 8, 1))


@jit
def _dot(table, a, b, dim):
    """Product of table[a : a + dim] and table[b : b + dim]."""
    sum_ = 0.0
    d = 0
    while d + 32 <= dim:
        sum_ += _dot_32(table, a + d, b + d)
        d += 32
    while d + 8 <= dim:
        sum_ += _dot_8(table, a + d, b + d)
        d += 8
    while d < dim:
        sum_ += _dot_1(table, a + d, b + d)
        d += 1
    return sum_


@jit
def _copy(table, at, dim, vectors, to, factor):
    """Write factor times table[at : at + dim] to `vectors` from index `to` on."""
    d = 0
    while d + 32 <= dim:
        _copy_32(table, at + d, vectors, to + d, factor)
        d += 32
    while d + 8 <= dim:
        _copy_8(table, at + d, vectors, to + d, factor)
        d += 8
    while d < dim:
        _copy_1(table, at + d, vectors, to + d, factor)
        d += 1


@jit
def _mix_row(shape, parameters, batch, row, scratch):
    """Mix the levels of a row; returns its linear score, x_u, x_i, and the softmax.

    scratch.scores[k] becomes the product at level k, scratch.mixed[k] the mixture of
    the levels up to k. The share of a level is exp(log weight - top) / total; both are
    kept as it goes, so that each mixture comes from the one before.
    """
    table = parameters.embeddings
    e = batch.indptr[row]
    u, i = np.int64(batch.ids[e]), np.int64(batch.ids[e + 1])
    x_u, x_i = value_of(batch.values, e), value_of(batch.values, e + 1)
    linear = np.float64(parameters.bias[0])
    linear += parameters.linear[u] * x_u
    linear += parameters.linear[i] * x_i
    top = -math.inf
    total = mixed = 0.0
    for k in range(len(shape.dims)):
        dim = shape.dims[k]
        at_u, at_i = shape.tables[k] + u * dim, shape.tables[k] + i * dim
        product = _dot(table, at_u, at_i, dim - 1)
        logit = np.float64(table[at_u + dim - 1]) + table[at_i + dim - 1]
        new_top = max(top, logit)
        before = total * math.exp(top - new_top)
        share = math.exp(logit - new_top)
        total = before + share
        mixed = (before * mixed + share * product) / total
        top = new_top
        scratch.scores[k] = product
        scratch.mixed[k] = mixed
    return linear, x_u, x_i, top, total


@jit
def _fetch_entries(shape, parameters, batch, row):
    """Ask for the weights and the tables' rows of a row's features."""
    for e in range(batch.indptr[row], batch.indptr[row + 1]):
        i = np.int64(batch.ids[e])
        prefetch(parameters.linear, i)
        for k in range(len(shape.dims)):
            dim = shape.dims[k]
            fetch_row(parameters.embeddings, shape.tables[k] + i * dim, dim)


@jit
def score_mrma(shape, parameters, batch, out, levels, scratch, first, last):
    """Score rows first..last to `out`; if `levels` has rows, every z_k to it too."""
    m = len(shape.dims)
    for r in range(first, last):
        if r + 1 < last:
            _fetch_entries(shape, parameters, batch, r + 1)
        linear, x_u, x_i, _, _ = _mix_row(shape, parameters, batch, r, scratch)
        out[r] = linear + x_u * x_i * scratch.mixed[m - 1]
        for k in range(levels.shape[0]):
            levels[k, r] = linear + x_u * x_i * scratch.mixed[k]


@jit
def gather_mrma(
    shape, settings, parameters, batch, start, work, scratch, first, last, n_rows
):
    """Take vectors, slopes and losses of rows first..last; as in `gather`."""
    m = len(shape.dims)
    for r in range(first, last):
        if r + 1 < n_rows:
            _fetch_entries(shape, parameters, batch, start + r + 1)
        linear, x_u, x_i, top, total = _mix_row(
            shape, parameters, batch, start + r, scratch
        )
        y = np.float64(batch.labels[start + r])
        z = linear
        for k in range(m):
            z = linear + x_u * x_i * scratch.mixed[k]
            work.losses[r * (m + 1) + k + 1] = loss_of(settings.log_loss, z, y)
        work.losses[r * (m + 1)] = loss_of(settings.log_loss, z, y)
        work.slope[r] = slope_of(settings.log_loss, z, y)
        e = batch.indptr[start + r]
        to = (e - batch.indptr[start]) * shape.columns[m]
        scratch.x[0], scratch.x[1] = x_u, x_i  # for a step of this row alone
        _write_vectors(shape, parameters, batch, e, to, work, scratch, top, total)


@jit
def _write_vectors(shape, parameters, batch, e, to, work, scratch, top, total):
    """Write what the features of a row multiply: share times the other's, and lean.

    The slope by a log weight is share times how far the level's product is from the
    mixture.
    """
    table, vectors = parameters.embeddings, work.sums
    m = len(shape.dims)
    u, i = np.int64(batch.ids[e]), np.int64(batch.ids[e + 1])
    x_u, x_i = scratch.x[0], scratch.x[1]
    for k in range(m):
        dim = shape.dims[k]
        at_u, at_i = shape.tables[k] + u * dim, shape.tables[k] + i * dim
        to_u = to + shape.columns[k]
        to_i = to_u + shape.columns[m]
        logit = np.float64(table[at_u + dim - 1]) + table[at_i + dim - 1]
        share = math.exp(logit - top) / total
        lean = share * (scratch.scores[k] - scratch.mixed[m - 1])
        _copy(table, at_i, dim - 1, vectors, to_u, x_i * share)
        _copy(table, at_u, dim - 1, vectors, to_i, x_u * share)
        vectors[to_u + dim - 1] = x_i * lean
        vectors[to_i + dim - 1] = x_u * lean
