"""Compiled loops over the numbers of one embedding, a block of lanes at a time.

Each function here takes a whole row of D_k numbers and splits it into blocks of 32, 8
and 1, so that any rank runs in registers. A row of a batch, or the rows of a feature,
are visited inside the block: sums never leave the registers.
"""

from __future__ import annotations

from typing import Any

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.simd import lanes


def _pair_block(n: int) -> Any:
    load, store, splat, total, _ = lanes(n)

    @jit
    def pair_block(table, at, dim, ids, x, n_dependent, n_all, keep, sums, nexts, to):
        """Sum one block of x_i v_i over a row; A_kk and A_k,k+1 of that block.

        Each feature meets the sum of those before it: Eq. (7) without taking squares
        away from a square, which costs as much and loses digits.
        """
        s = splat(table, 0.0)
        pairs = s
        for e in range(n_dependent):
            xv = splat(table, x[e]) * load(table, at + ids[e] * dim)
            pairs += xv * s
            s += xv
        t = s
        shared = total(pairs)
        for e in range(n_dependent, n_all):
            xv = splat(table, x[e]) * load(table, at + ids[e] * dim)
            pairs += xv * s
            s += xv
        if keep:
            store(sums, to, s)
            store(nexts, to, t)
        return total(pairs), shared

    return pair_block


def _blend_block(n: int) -> Any:
    load, store, splat, _, _ = lanes(n)

    @jit
    def blend_block(sums, nexts, at, slope, toward, reach):
        """Turn s_k, t_k into what a free and a dependent factor multiply by x_i."""
        s = load(sums, at)
        t = load(nexts, at)
        store(sums, at, splat(sums, slope) * s)
        store(nexts, at, splat(sums, toward) * s + splat(sums, reach) * (s - t))

    return blend_block


def _gradient_block(n: int) -> Any:
    load, store, splat, total, _ = lanes(n)

    @jit
    def gradient_block(
        table, at, vectors, base, stride, rows, x, first, last, weight, scale, l2, g, to
    ):
        """Write one block of a feature's gradient; return the sum of its squares."""
        v = load(table, at)
        sum_ = splat(table, 0.0)
        for e in range(first, last):
            sum_ += splat(table, x[e]) * load(vectors, base + rows[e] * stride)
        mean = (sum_ - splat(table, weight) * v) * splat(table, scale)
        mean += splat(table, l2) * v
        store(g, to, mean)
        return total(mean * mean)

    return gradient_block


def _plain_block(n: int) -> Any:
    load, store, splat, _, _ = lanes(n)

    @jit
    def plain_block(table, at, g, d, rate):
        """Step one block: v -= rate * g."""
        store(table, at, load(table, at) - splat(table, rate) * load(g, d))

    return plain_block


_pairs_32, _pairs_8, _pairs_1 = (_pair_block(n) for n in (32, 8, 1))
_blend_32, _blend_8, _blend_1 = (_blend_block(n) for n in (32, 8, 1))
_gradient_32, _gradient_8, _gradient_1 = (_gradient_block(n) for n in (32, 8, 1))
_plain_32, _plain_8, _plain_1 = (_plain_block(n) for n in (32, 8, 1))


@jit
def pair_sums(table, at, dim, ids, x, n_dependent, n_all, keep, sums, nexts, to):
    """A_kk and A_k,k+1 of one row at one level (Eq. 7).

    The row's features of F_k are ids[:n_all], those of F_k+1 come first; the level's
    table begins at `at`. With `keep`, s_k and t_k are written from index `to` on.
    """
    own = 0.0
    shared = 0.0
    d = 0
    while d + 32 <= dim:
        a, b = _pairs_32(
            table, at + d, dim, ids, x, n_dependent, n_all, keep, sums, nexts, to + d
        )
        own += a
        shared += b
        d += 32
    while d + 8 <= dim:
        a, b = _pairs_8(
            table, at + d, dim, ids, x, n_dependent, n_all, keep, sums, nexts, to + d
        )
        own += a
        shared += b
        d += 8
    while d < dim:
        a, b = _pairs_1(
            table, at + d, dim, ids, x, n_dependent, n_all, keep, sums, nexts, to + d
        )
        own += a
        shared += b
        d += 1
    return own, shared


@jit
def blend(sums, nexts, at, dim, slope, toward, reach):
    """In place: s_k becomes slope s_k, t_k toward s_k + reach (s_k - t_k)."""
    d = 0
    while d + 32 <= dim:
        _blend_32(sums, nexts, at + d, slope, toward, reach)
        d += 32
    while d + 8 <= dim:
        _blend_8(sums, nexts, at + d, slope, toward, reach)
        d += 8
    while d < dim:
        _blend_1(sums, nexts, at + d, slope, toward, reach)
        d += 1


@jit
def gradient(
    table, at, dim, vectors, base, stride, rows, x, first, last, weight, scale, l2, g
):
    """Write a feature's mean gradient at one level to g[:dim]; return |g|^2.

    scale (sum_r x_r vectors_r - weight v) + l2 v, over the rows first..last of the
    feature, in their order.
    """
    squares = 0.0
    d = 0
    while d + 32 <= dim:
        squares += _gradient_32(
            table, at + d, vectors, base + d, stride, rows, x, first, last, weight,
            scale, l2, g, d,
        )  # fmt: skip
        d += 32
    while d + 8 <= dim:
        squares += _gradient_8(
            table, at + d, vectors, base + d, stride, rows, x, first, last, weight,
            scale, l2, g, d,
        )  # fmt: skip
        d += 8
    while d < dim:
        squares += _gradient_1(
            table, at + d, vectors, base + d, stride, rows, x, first, last, weight,
            scale, l2, g, d,
        )  # fmt: skip
        d += 1
    return squares


@jit
def plain_step(table, at, dim, g, rate):
    """Step dim numbers from index `at`: v -= rate * g."""
    d = 0
    while d + 32 <= dim:
        _plain_32(table, at + d, g, d, rate)
        d += 32
    while d + 8 <= dim:
        _plain_8(table, at + d, g, d, rate)
        d += 8
    while d < dim:
        _plain_1(table, at + d, g, d, rate)
        d += 1
