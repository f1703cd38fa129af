"""Compiled step of one row of FFM, pair by pair, in place.

Where no two entries of a row share a field, each vector meets one other: the two read
each other, then both make their step, and no other pair needs what they were. Vectors
of few numbers share a register: both of a pair, or, at D_1 = 4, those of four entries
for one field beside the four of one entry for theirs, which lie side by side.
"""

from __future__ import annotations

from typing import Any

from rafm_kernels.backends.numba_arrays import ADAGRAD, SGD
from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.numba_steps import fetch_entry
from rafm_kernels.backends.simd import back, front, joined, lanes, turned

TILE = 4  # entries whose pairs with an earlier one are stepped together


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
    def step_block(table, squares, at, place, x, slopes, first, a, d, settings):
        """Step one block, from number d on, of entry a's pairs with first..a.

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
        for b in range(first, a):
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


def _step_tile() -> Any:
    load, store, one, _, _ = lanes(4)
    load_row, store_row, four, total, root = lanes(4 * TILE)

    @jit
    def read(array, at, a, place):
        return joined(
            joined(load(array, at[a] + place), load(array, at[a + 1] + place)),
            joined(load(array, at[a + 2] + place), load(array, at[a + 3] + place)),
        )

    @jit
    def write(array, at, a, place, v):
        low, high = front(v, v), back(v, v)
        store(array, at[a] + place, front(low, low))
        store(array, at[a + 1] + place, back(low, low))
        store(array, at[a + 2] + place, front(high, high))
        store(array, at[a + 3] + place, back(high, high))

    @jit
    def each(numbers, a):
        return joined(
            joined(one(numbers, numbers[a]), one(numbers, numbers[a + 1])),
            joined(one(numbers, numbers[a + 2]), one(numbers, numbers[a + 3])),
        )

    @jit
    def step_tile(table, squares, at, place, x, slopes, a, settings):
        """Step the pairs of entries a..a + 4, of fields in a row, with all before a.

        D_1 is 4; the rest as in `step_block`.
        """
        x_a, slope_a = each(x, a), each(slopes, a)
        seen = four(table, 0.0)
        rate = four(table, settings.rate)
        l2 = four(table, settings.l2)
        epsilon = four(table, settings.epsilon)
        for b in range(a):
            place_b = place[b]
            row = at[b] + place[a]
            mine, theirs = read(table, at, a, place_b), load_row(table, row)
            g = slope_a * (four(x, x[b]) * theirs) + l2 * mine
            h = four(x, slopes[b]) * (x_a * mine) + l2 * theirs
            seen += g * g + h * h
            if settings.optimizer == ADAGRAD:
                sums = read(squares, at, a, place_b) + g * g
                write(squares, at, a, place_b, sums)
                g = g / (root(sums) + epsilon)
                sums = load_row(squares, row) + h * h
                store_row(squares, row, sums)
                h = h / (root(sums) + epsilon)
            write(table, at, a, place_b, mine - rate * g)
            store_row(table, row, theirs - rate * h)
        return total(seen)

    return step_tile


@jit
def _in_a_row(place, a, n):
    """Whether entries a..a + 4 are there and hold fields one after the other."""
    return a + TILE <= n and place[a + TILE - 1] == place[a] + 4 * (TILE - 1)


_step_4, _step_1 = (_step_block(n) for n in (4, 1))
_step_tile_4 = _step_tile()


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
    first = last = 0  # of the tile that entry a is in
    for a in range(n):
        fetch_entry(shape, settings, parameters, kept, batch, fetch + a, last_fetch)
        if a == last:
            first, last = 0, a + 1
            if dim == 4 and _in_a_row(place, a, n):
                health += _step_tile_4(
                    table, squares, at, place, x, slopes, a, settings
                )
                first, last = a, a + TILE
        d = 0
        while d + 4 <= dim:
            health += _step_4(
                table, squares, at, place, x, slopes, first, a, d, settings
            )
            d += 4
        while d < dim:
            health += _step_1(
                table, squares, at, place, x, slopes, first, a, d, settings
            )
            d += 1
    return health
