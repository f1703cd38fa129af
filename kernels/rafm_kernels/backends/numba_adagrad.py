"""Compiled AdaGrad of one embedding, number by number.

Blocks of 32, 8 and 1 lanes, as in `numba_blocks`. Nothing but a block's own gradient
decides its step, so `descend` makes both while they are in registers.
"""

from __future__ import annotations

from typing import Any

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.simd import lanes


def _adagrad_block(n: int) -> Any:
    load, store, splat, _, root = lanes(n)

    @jit
    def adagrad_block(table, squares, at, g, d, rate, epsilon):
        """Step one block: a += g^2, v -= rate * g / (sqrt(a) + epsilon)."""
        step = load(g, d)
        a = load(squares, at) + step * step
        store(squares, at, a)
        moved = splat(table, rate) * step / (root(a) + splat(table, epsilon))
        store(table, at, load(table, at) - moved)

    return adagrad_block


def _descend_block(n: int) -> Any:
    load, store, splat, total, root = lanes(n)

    @jit
    def descend_block(
        table, squares, at, vectors, base, stride, rows, x, first, last, weight, scale,
        l2, rate, epsilon,
    ):  # fmt: skip
        """Step one block by its gradient; return the sum of that one's squares."""
        v = load(table, at)
        sum_ = splat(table, 0.0)
        for e in range(first, last):
            sum_ += splat(table, x[e]) * load(vectors, base + rows[e] * stride)
        mean = (sum_ - splat(table, weight) * v) * splat(table, scale)
        mean += splat(table, l2) * v
        square = mean * mean
        a = load(squares, at) + square
        store(squares, at, a)
        moved = splat(table, rate) * mean / (root(a) + splat(table, epsilon))
        store(table, at, v - moved)
        return total(square)

    return descend_block


_adagrad_32, _adagrad_8, _adagrad_1 = (_adagrad_block(n) for n in (32, 8, 1))
_descend_32, _descend_8, _descend_1 = (_descend_block(n) for n in (32, 8, 1))


@jit
def adagrad_step(table, squares, at, dim, g, rate, epsilon):
    """Step each number by itself: a += g^2, v -= rate * g / (sqrt(a) + epsilon)."""
    d = 0
    while d + 32 <= dim:
        _adagrad_32(table, squares, at + d, g, d, rate, epsilon)
        d += 32
    while d + 8 <= dim:
        _adagrad_8(table, squares, at + d, g, d, rate, epsilon)
        d += 8
    while d < dim:
        _adagrad_1(table, squares, at + d, g, d, rate, epsilon)
        d += 1


@jit
def descend(
    table, squares, at, dim, vectors, base, stride, rows, x, first, last, weight, scale,
    l2, rate, epsilon,
):  # fmt: skip
    """Step dim numbers from index `at` by their `gradient`; return its |g|^2."""
    seen = 0.0
    d = 0
    while d + 32 <= dim:
        seen += _descend_32(
            table, squares, at + d, vectors, base + d, stride, rows, x, first, last,
            weight, scale, l2, rate, epsilon,
        )  # fmt: skip
        d += 32
    while d + 8 <= dim:
        seen += _descend_8(
            table, squares, at + d, vectors, base + d, stride, rows, x, first, last,
            weight, scale, l2, rate, epsilon,
        )  # fmt: skip
        d += 8
    while d < dim:
        seen += _descend_1(
            table, squares, at + d, vectors, base + d, stride, rows, x, first, last,
            weight, scale, l2, rate, epsilon,
        )  # fmt: skip
        d += 1
    return seen
