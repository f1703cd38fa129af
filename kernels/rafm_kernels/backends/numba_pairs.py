"""Compiled step of one row of FFM, pair by pair, in place.

Where no two entries of a row share a field, each vector meets one other: the two read
each other, then both make their step, and no other pair needs what they were. Both lie
in one register, since at small ranks each alone would leave it half empty.
"""

from __future__ import annotations

from typing import Any

from rafm_kernels.backends.numba_arrays import ADAGRAD, SGD
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_steps import fetch_entry
from rafm_kernels.backends.simd import back, front, joined, lanes, turned


@jit
def pairs_alone(n_fields, settings, batch, row):
    """Whether a row's step can be made in place: its fields go up, each once.

    And vectors that meet none keep still: Adam and FTRL move them too. Row-wise AdaGrad
    needs the whole gradient of a feature first.
    """
    if n_fields is None:
        return False
    if settings.optimizer != SGD and settings.optimizer != ADAGRAD:
        return False
    for e in range(batch.indptr[row] + 1, batch.indptr[row + 1]):
        if batch.fields[e] <= batch.fields[e - 1]:
            return False
    return True


def _step_block(n: int) -> Any:
    load, store, one, _, _ = lanes(n)
    _, _, two, total, root = lanes(2 * n)

    @jit
    def step_block(table, squares, at, place, x, slopes, a, d, settings):
        """Step one block, from number d on, of entry a's pairs with those before it.

        Entry e's row of the table begins at at[e]; vectors for its field lie place[e]
        after a row's begin; slopes[e] is the loss's slope times x[e]. Returns the sum
        of the gradients' squares.
        """
        at_a = at[a] + d
        place_a = place[a] + d
        x_a = one(table, x[a])
        slope_a = one(table, slopes[a])
        seen = two(table, 0.0)
        rate = two(table, settings.rate)
        l2 = two(table, settings.l2)
        epsilon = two(table, settings.epsilon)
        for b in range(a):
            mine = at_a + place[b]
            theirs = at[b] + place_a
            v = joined(load(table, mine), load(table, theirs))
            xv = joined(x_a, one(table, x[b])) * v
            slope = joined(slope_a, one(table, slopes[b]))
            g = slope * turned(xv, xv) + l2 * v
            seen += g * g
            moved = rate * g
            if settings.optimizer == ADAGRAD:
                sums = joined(load(squares, mine), load(squares, theirs)) + g * g
                store(squares, mine, front(sums, sums))
                store(squares, theirs, back(sums, sums))
                moved = moved / (root(sums) + epsilon)
            v = v - moved
            store(table, mine, front(v, v))
            store(table, theirs, back(v, v))
        return total(seen)

    return step_block


_step_4, _step_1 = (_step_block(n) for n in (4, 1))


@jit
def pair_steps(
    n_fields, n, shape, settings, parameters, kept, scratch, batch, fetch, last_fetch
):
    """Step all pairs of the row that `scratch` holds; a number finite if all is.

    Meanwhile asks for what the entries fetch..last_fetch of the batch will read.
    """
    if n_fields is None:
        return 0.0
    dim = shape.dims[0] // n_fields
    table, squares = parameters.embeddings, kept.sums.embeddings
    at, place, x, slopes = scratch.at, scratch.place, scratch.x, scratch.slopes
    health = 0.0
    for a in range(n):
        fetch_entry(shape, settings, parameters, kept, batch, fetch + a, last_fetch)
        d = 0
        while d + 4 <= dim:
            health += _step_4(table, squares, at, place, x, slopes, a, d, settings)
            d += 4
        while d < dim:
            health += _step_1(table, squares, at, place, x, slopes, a, d, settings)
            d += 1
    return health
