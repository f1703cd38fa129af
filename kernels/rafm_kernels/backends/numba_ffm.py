"""Compiled FFM: each pair of a row meets in the vectors for each other's field.

A feature's row of the table holds D_1 numbers for each field, field after field. While
a pair is scored, each side's vector is written to the other's entry: there it lies as
the other's gradient needs it, which reads it when parameters may have changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_gather import (
    linear_score,
    loss_of,
    slope_of,
    value_of,
)
from rafm_kernels.backends.simd import fetch_row, lanes, prefetch


def _pairs_block(n: int) -> Any:
    load, store, splat, total, _ = lanes(n)

    @jit
    def pairs_block(table, at, place, x, n_entries, d, vectors, to, stride, keep, add):
        """Sum one block, from number d on, of the products of all pairs of a row.

        Entry e's row of the table begins at at[e]; vectors for its field lie place[e]
        after a row's begin. With `keep`, each side's x v is written (with `add`, added)
        to the other's row of `vectors`, that of entry e beginning at to + e stride.
        """
        z = 0.0
        for a in range(n_entries):
            at_a = at[a] + d
            place_a = place[a] + d
            to_a = to + a * stride + d
            sum_ = splat(table, 0.0)
            for b in range(a):
                mine = load(table, at_a + place[b])
                theirs = splat(table, x[b]) * load(table, at[b] + place_a)
                sum_ += mine * theirs
                if keep:
                    mine = splat(table, x[a]) * mine
                    to_b = to + b * stride + place_a
                    if add:
                        theirs += load(vectors, to_a + place[b])
                        mine += load(vectors, to_b)
                    store(vectors, to_a + place[b], theirs)
                    store(vectors, to_b, mine)
            z += x[a] * total(sum_)
        return z

    return pairs_block


def _l2_block(n: int) -> Any:
    load, store, splat, _, _ = lanes(n)

    @jit
    def l2_block(table, at, g, to, l2):
        """Add l2 v to one block of a gradient."""
        store(g, to, load(g, to) + splat(g, l2) * load(table, at))

    return l2_block


_pairs_8, _pairs_4, _pairs_1 = (_pairs_block(n) for n in (8, 4, 1))
_l2_4, _l2_1 = (_l2_block(n) for n in (4, 1))


@jit
def _pair_products(dim, table, at, place, x, n, vectors, to, stride, keep, add):
    """Sum x_a x_b v_{a, f_b} . v_{b, f_a} over a row's pairs; as `pairs_block`."""
    z = 0.0
    d = 0
    while d + 8 <= dim:
        z += _pairs_8(table, at, place, x, n, d, vectors, to, stride, keep, add)
        d += 8
    while d + 4 <= dim:
        z += _pairs_4(table, at, place, x, n, d, vectors, to, stride, keep, add)
        d += 4
    while d < dim:
        z += _pairs_1(table, at, place, x, n, d, vectors, to, stride, keep, add)
        d += 1
    return z


@jit
def _read_row(shape, n_fields, batch, row, scratch):
    """Take a row's entries and where their vectors lie; return how many they are."""
    dim = shape.dims[0] // n_fields
    start = batch.indptr[row]
    n = batch.indptr[row + 1] - start
    for e in range(n):
        i = np.int64(batch.ids[start + e])
        scratch.ids[e] = i
        scratch.x[e] = value_of(batch.values, start + e)
        scratch.at[e] = shape.tables[0] + i * shape.dims[0]
        scratch.place[e] = np.int64(batch.fields[start + e]) * dim
    return n


@jit
def score_ffm(shape, n_fields, parameters, batch, out, levels, scratch, first, last):
    """Score rows first..last to `out`, and to `levels` if it has a row."""
    table, at, place, x = parameters.embeddings, scratch.at, scratch.place, scratch.x
    dim = shape.dims[0] // n_fields
    for r in range(first, last):
        if r + 1 < last:
            _fetch_entries(shape, parameters, batch, r + 1)
        n = _read_row(shape, n_fields, batch, r, scratch)
        z = linear_score(parameters, scratch.ids, x, n)
        z += _pair_products(dim, table, at, place, x, n, table, 0, 0, False, False)
        out[r] = z
        if levels.shape[0] > 0:
            levels[0, r] = z


@jit
def gather_ffm(
    shape, n_fields, settings, parameters, batch, start, work, scratch, first, last,
    n_rows, keep,
):  # fmt: skip
    """Take slopes and losses of rows first..last, as in `gather`.

    And, to `keep` them in `work`, the vectors that `scatter_entries` reads.
    """
    table, at, place, x = parameters.embeddings, scratch.at, scratch.place, scratch.x
    vectors = work.sums
    stride = shape.columns[1]
    dim = shape.dims[0] // n_fields
    for r in range(first, last):
        if r + 1 < n_rows:
            _fetch_entries(shape, parameters, batch, start + r + 1)
        n = _read_row(shape, n_fields, batch, start + r, scratch)
        z = linear_score(parameters, scratch.ids, x, n)
        to = (batch.indptr[start + r] - batch.indptr[start]) * stride
        if not keep:
            z += _pair_products(
                dim, table, at, place, x, n, vectors, to, stride, False, False
            )
        elif _count_fields(n_fields, batch, start + r, work.active, r):
            for e in range(n):
                own = to + e * stride + place[e]
                vectors[own : own + dim] = 0
            z += _pair_products(
                dim, table, at, place, x, n, vectors, to, stride, True, False
            )
        else:
            vectors[to : to + n * stride] = 0
            z += _pair_products(
                dim, table, at, place, x, n, vectors, to, stride, True, True
            )
        y = np.float64(batch.labels[start + r])
        work.slope[r] = slope_of(settings.log_loss, z, y)
        work.losses[2 * r] = loss_of(settings.log_loss, z, y)
        work.losses[2 * r + 1] = work.losses[2 * r]


@jit
def _fetch_entries(shape, parameters, batch, row):
    """Ask for the weights and the table's rows of a row's features."""
    for e in range(batch.indptr[row], batch.indptr[row + 1]):
        i = np.int64(batch.ids[e])
        prefetch(parameters.linear, i)
        at = shape.tables[0] + i * shape.dims[0]
        fetch_row(parameters.embeddings, at, shape.dims[0])


@jit
def _count_fields(n_fields, batch, row, counts, r):
    """Count a row's entries of each field; return whether each field has just one.

    The batch's row r keeps n_fields numbers in `counts`, and whether as one more.
    """
    at = r * (n_fields + 1)
    counts[at : at + n_fields + 1] = 0
    one_each = batch.indptr[row + 1] - batch.indptr[row] == n_fields
    for e in range(batch.indptr[row], batch.indptr[row + 1]):
        counts[at + batch.fields[e]] += 1
        one_each = one_each and counts[at + batch.fields[e]] == 1
    counts[at + n_fields] = np.int32(one_each)
    return one_each


@jit
def mark_fields(n_fields, batch, start, work, touched, begin, end):
    """Mark the fields of which a feature's rows begin..end hold another feature.

    Returns whether there is any; the rows of a model without fields are pairs.
    """
    if n_fields is None:
        return True
    first = batch.indptr[start]
    touched[:] = 0
    found = one_each = False
    for e in range(begin, end):
        at = work.rows[e] * (n_fields + 1)
        if work.active[at + n_fields]:
            if one_each:  # an earlier row has marked the same
                continue
            one_each = True
        own = batch.fields[first + work.entries[e]]
        for f in range(n_fields):
            if work.active[at + f] > (1 if f == own else 0):
                touched[f] = 1
                found = True
    return found


@jit
def mark_fields_of_row(n_fields, batch, entry, work, touched):
    """Mark the fields of which the batch's only row holds another feature."""
    if n_fields is not None:
        own = batch.fields[entry]
        for f in range(n_fields):
            touched[f] = work.active[f] > (1 if f == own else 0)


@jit
def add_l2(n_fields, table, at, width, touched, l2, g):
    """Add l2 v to g where a field is marked; return |g|^2."""
    dim = width // n_fields
    for f in range(n_fields):
        if not touched[f]:
            continue
        d = f * dim
        while d + 4 <= (f + 1) * dim:
            _l2_4(table, at + d, g, d, l2)
            d += 4
        while d < (f + 1) * dim:
            _l2_1(table, at + d, g, d, l2)
            d += 1
    square = 0.0
    for d in range(width):
        square += g[d] * g[d]
    return square
