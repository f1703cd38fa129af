"""Oracle: the paper's equations as loops over pairs. Imports nothing of ours.

A row is a list of (id, value); `tables[k]` is v^(k + 1), a list of |F_k+1| vectors;
numbers are Python floats.
"""

from __future__ import annotations

import math


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def common_level(i, j, tables, top):
    """min(k_i, k_j, top): the level, from 1, at which Eq. (4) pairs i with j."""
    return max(k + 1 for k in range(top) if i < len(tables[k]) and j < len(tables[k]))


def score(row, bias, linear, tables, top=None):
    """Eq. (1) with Eq. (4): each pair meets at its highest common level below top.

    With one table this is FM's Eq. (1); with none, a linear model; `top` = k gives
    B_1k.
    """
    top = len(tables) if top is None else top
    z = bias + sum(linear[i] * x for i, x in row)
    if not top:
        return z
    for a, (i, x_i) in enumerate(row):
        for j, x_j in row[a + 1 :]:
            k = common_level(i, j, tables, top)
            z += x_i * x_j * dot(tables[k - 1][i], tables[k - 1][j])
    return z


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def loss(name, z, y):
    """Objective whose slope is sigmoid(z) - y, or z - y."""
    if name == "square":
        return 0.5 * (z - y) ** 2
    return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))


def soft_target(name, z_next):
    return z_next if name == "square" else sigmoid(z_next)
