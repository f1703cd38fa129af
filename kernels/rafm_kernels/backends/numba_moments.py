"""Compiled steps of embeddings by optimizers that keep two numbers for each of theirs.

Blocks of 32, 8 and 1 lanes, as in `numba_blocks`.
"""

from __future__ import annotations

from typing import Any

from rafm_kernels.backends.numba_cache import jit
from rafm_kernels.backends.simd import lanes, larger, smaller


def _adam_block(n: int) -> Any:
    load, store, splat, _, root = lanes(n)

    @jit
    def adam_block(table, sums, moments, at, g, d, rate, settings):
        """Step one block of `adam`."""
        step = load(g, d)
        u = splat(table, settings.beta1) * load(moments, at)
        u += splat(table, 1.0 - settings.beta1) * step
        a = splat(table, settings.beta2) * load(sums, at)
        a += splat(table, 1.0 - settings.beta2) * (step * step)
        store(moments, at, u)
        store(sums, at, a)
        below = splat(table, settings.root_scale) * root(a)
        moved = splat(table, rate) * u / (below + splat(table, settings.epsilon))
        store(table, at, load(table, at) - moved)

    return adam_block


def _collect_block(n: int) -> Any:
    load, store, splat, _, _ = lanes(n)

    @jit
    def collect_block(table, sums, moments, at, g, d, settings):
        """Add one block's gradient to what `decay_step` will move it by.

        That adds h = own_l2 v to every gradient: here the rest of (g + h)^2.
        """
        step = load(g, d)
        h = splat(table, settings.own_l2) * load(table, at)
        whole = step + h
        more = splat(table, 1.0 - settings.beta2) * (whole * whole - h * h)
        store(
            moments, at, load(moments, at) + splat(table, 1.0 - settings.beta1) * step
        )
        store(sums, at, load(sums, at) + more)

    return collect_block


def _decay_block(n: int) -> Any:
    load, store, splat, _, root = lanes(n)

    @jit
    def decay_block(table, sums, moments, at, rate, own_l2, settings):
        """Move one block by u and a, then let these decay for the next step.

        Rounding may leave less than 0 of an `a` that `collect_block` took from.
        """
        v = load(table, at)
        h = splat(table, own_l2) * v
        u = load(moments, at) + splat(table, 1.0 - settings.beta1) * h
        a = load(sums, at) + splat(table, 1.0 - settings.beta2) * (h * h)
        a = larger(a, splat(table, 0.0))
        below = splat(table, settings.root_scale) * root(a)
        moved = splat(table, rate) * u / (below + splat(table, settings.epsilon))
        store(table, at, v - moved)
        store(moments, at, splat(table, settings.beta1) * u)
        store(sums, at, splat(table, settings.beta2) * a)

    return decay_block


def _ftrl_block(n: int) -> Any:
    load, store, splat, _, root = lanes(n)

    @jit
    def ftrl_block(table, sums, moments, at, g, d, rate, settings):
        """Step one block of `ftrl`; z - clip(z) is exactly 0 where |z| <= l1."""
        step = load(g, d)
        before = load(sums, at)
        a = before + step * step
        root_a = root(a)
        turn = (root_a - root(before)) * splat(table, 1.0 / rate)
        z = load(moments, at) + (step - turn * load(table, at))
        store(sums, at, a)
        store(moments, at, z)
        clipped = larger(
            smaller(z, splat(table, settings.l1)), splat(table, -settings.l1)
        )
        below = (splat(table, settings.beta) + root_a) * splat(table, 1.0 / rate)
        store(table, at, (clipped - z) / (below + splat(table, settings.own_l2)))

    return ftrl_block


_adam_32, _adam_8, _adam_1 = (_adam_block(n) for n in (32, 8, 1))
_collect_32, _collect_8, _collect_1 = (_collect_block(n) for n in (32, 8, 1))
_decay_32, _decay_8, _decay_1 = (_decay_block(n) for n in (32, 8, 1))
_ftrl_32, _ftrl_8, _ftrl_1 = (_ftrl_block(n) for n in (32, 8, 1))


@jit
def adam_step(table, sums, moments, at, dim, g, rate, settings):
    """Step dim numbers from index `at` by `adam`."""
    d = 0
    while d + 32 <= dim:
        _adam_32(table, sums, moments, at + d, g, d, rate, settings)
        d += 32
    while d + 8 <= dim:
        _adam_8(table, sums, moments, at + d, g, d, rate, settings)
        d += 8
    while d < dim:
        _adam_1(table, sums, moments, at + d, g, d, rate, settings)
        d += 1


@jit
def collect_step(table, sums, moments, at, dim, g, settings):
    """Take the gradient of dim numbers from index `at`, for `decay_step`."""
    d = 0
    while d + 32 <= dim:
        _collect_32(table, sums, moments, at + d, g, d, settings)
        d += 32
    while d + 8 <= dim:
        _collect_8(table, sums, moments, at + d, g, d, settings)
        d += 8
    while d < dim:
        _collect_1(table, sums, moments, at + d, g, d, settings)
        d += 1


@jit
def decay_step(table, sums, moments, at, last, rate, own_l2, settings):
    """Step the numbers at..last by `adam-dense`, their gradients collected."""
    while at + 32 <= last:
        _decay_32(table, sums, moments, at, rate, own_l2, settings)
        at += 32
    while at + 8 <= last:
        _decay_8(table, sums, moments, at, rate, own_l2, settings)
        at += 8
    while at < last:
        _decay_1(table, sums, moments, at, rate, own_l2, settings)
        at += 1


@jit
def ftrl_step(table, sums, moments, at, dim, g, rate, settings):
    """Step dim numbers from index `at` by `ftrl`."""
    d = 0
    while d + 32 <= dim:
        _ftrl_32(table, sums, moments, at + d, g, d, rate, settings)
        d += 32
    while d + 8 <= dim:
        _ftrl_8(table, sums, moments, at + d, g, d, rate, settings)
        d += 8
    while d < dim:
        _ftrl_1(table, sums, moments, at + d, g, d, rate, settings)
        d += 1
