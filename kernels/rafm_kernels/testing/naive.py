"""Oracle: the paper's equations as loops over pairs. Imports nothing of ours.

A row is a list of (id, value, field); `tables[k]` is the table of level k + 1, a list
of |F_k+1| vectors; numbers are Python floats. Each `..._score` takes a row, the bias,
the linear weights, the tables, and `top`: levels above it are left out.
"""

from __future__ import annotations

import itertools
import math


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def common_level(i, j, tables, top):
    """min(k_i, k_j, top): the level, from 1, at which Eq. (4) pairs i with j."""
    return max(k + 1 for k in range(top) if i < len(tables[k]) and j < len(tables[k]))


def linear_score(row, bias, linear):
    return bias + sum(linear[i] * x for i, x, _ in row)


def pairs_of(row):
    return itertools.combinations(row, 2)


def rafm_score(row, bias, linear, tables, top):
    """Eq. (1) with Eq. (4): each pair meets at its highest common level below top.

    With one table this is FM's Eq. (1); with none, a linear model; `top` = k gives
    B_1k.
    """
    z = linear_score(row, bias, linear)
    if not top:
        return z
    for (i, x_i, _), (j, x_j, _) in pairs_of(row):
        k = common_level(i, j, tables, top)
        z += x_i * x_j * dot(tables[k - 1][i], tables[k - 1][j])
    return z


def difacto_score(row, bias, linear, tables, top):
    """One vector a feature, cut at its rank; a pair meets in the shorter one's length.

    `tables[k]` holds the next numbers of the vectors that go on.
    """
    z = linear_score(row, bias, linear)
    for (i, x_i, _), (j, x_j, _) in pairs_of(row):
        v_i, v_j = (
            [number for table in tables[:top] if f < len(table) for number in table[f]]
            for f in (i, j)
        )
        shorter = min(len(v_i), len(v_j))
        z += x_i * x_j * dot(v_i[:shorter], v_j[:shorter])
    return z


def mrma_score(row, bias, linear, tables, top):
    """Two features u, i of two fields, mixed over levels by weights of both.

    The last number of a vector is the log of alpha_u^k, or of beta_i^k.
    """
    (u, x_u, _), (i, x_i, _) = row
    weights = [
        math.exp(table[u][-1]) * math.exp(table[i][-1]) for table in tables[:top]
    ]
    dots = [dot(table[u][:-1], table[i][:-1]) for table in tables[:top]]
    mixed = dot(weights, dots) / sum(weights)
    return linear_score(row, bias, linear) + x_u * x_i * mixed


def ffm_score(row, bias, linear, tables, top, n_fields):
    """Each pair meets in the vectors that each has for the other's field."""
    del top
    z = linear_score(row, bias, linear)
    d = len(tables[0][0]) // n_fields
    for (i, x_i, f_i), (j, x_j, f_j) in pairs_of(row):
        v_i = tables[0][i][f_j * d : (f_j + 1) * d]
        v_j = tables[0][j][f_i * d : (f_i + 1) * d]
        z += x_i * x_j * dot(v_i, v_j)
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


class Step:
    """One number's steps by an optimizer, from its gradients; `o` holds its settings.

    `step` is called in every step: with g None where the batch did not touch it.
    """

    def __init__(self, o, v, rate, l2, l1):
        self.o, self.v, self.rate, self.l2, self.l1 = o, v, rate, l2, l1
        self.a, self.u = o.initial_accumulator, 0.0
        self.z = -v * o.beta / rate

    def step(self, g, t, row_square=None):
        """Make step number t, from 1; `row_square` is `adagrad-row`'s mean of g^2."""
        name = self.o.name
        if name == "adam-dense":
            everywhere = self.o.l2_scope == "all"
            shrink = self.l2 * self.v if everywhere or g is not None else 0.0
            self.adam((g or 0.0) + shrink, t)
        elif g is not None and name == "ftrl":
            self.ftrl(g)
        elif g is not None:
            g += self.l2 * self.v
            if name == "adam":
                self.adam(g, t)
            elif name == "sgd":
                self.v -= self.rate * g
            else:
                self.a += g * g if row_square is None else row_square
                self.v -= self.rate * g / (math.sqrt(self.a) + 1e-8)

    def adam(self, g, t):
        """Step as Algorithm 1 of Kingma and Ba, ICLR 2015, its epsilon 1e-8."""
        b1, b2 = self.o.beta1, self.o.beta2
        self.u = b1 * self.u + (1 - b1) * g
        self.a = b2 * self.a + (1 - b2) * g * g
        u, a = self.u / (1 - b1**t), self.a / (1 - b2**t)
        self.v -= self.rate * u / (math.sqrt(a) + 1e-8)

    def ftrl(self, g):
        """Step as Algorithm 1 of McMahan et al., KDD 2013."""
        sigma = (math.sqrt(self.a + g * g) - math.sqrt(self.a)) / self.rate
        self.z += g - sigma * self.v
        self.a += g * g
        if abs(self.z) <= self.l1:
            self.v = 0.0
            return
        sign = 1 if self.z > 0 else -1
        below = (self.o.beta + math.sqrt(self.a)) / self.rate + self.l2
        self.v = -(self.z - sign * self.l1) / below
