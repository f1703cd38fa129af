"""A backend to read: LR, FM and RaFM by SGD, one row after the other, in NumPy."""

import numpy as np

from rafm_kernels import (
    Parameters,
    TrainReport,
    check_call,
    check_train_call,
    loss_values,
    probability,
    zero_parameters,
)
from rafm_kernels import tables as tables_of


def scores(model, parameters, batch, n_threads=1):
    check_call(model, parameters, batch, n_threads)
    return np.array([z[-1] for *_, z in rows_of(model, parameters, batch)])


def level_scores(model, parameters, batch, n_threads=1):
    check_call(model, parameters, batch, n_threads)
    z = [z[1:] for *_, z in rows_of(model, parameters, batch)]
    return np.reshape(z, (batch.n_rows, model.layout.n_levels)).T


@np.errstate(all="ignore")  # what is not finite is told
def gradients(model, parameters, batch, n_threads=1):
    check_call(model, parameters, batch, n_threads)
    g, _, losses = gradient(model, parameters, batch, slice(None), 1.0, 1.0)
    return g if np.isfinite(losses[-1]) else Parameters(*(v * np.nan for v in g))


@np.errstate(all="ignore")
def train(model, state, optimizer, batch, batch_size, n_threads=1):
    check_train_call(model, state, optimizer, batch, batch_size, n_threads)
    if optimizer.name != "sgd":
        raise NotImplementedError(f"the example has no optimizer {optimizer.name}")
    total = np.zeros(model.layout.n_levels + 1)
    for step, start in enumerate(range(0, batch.n_rows, batch_size)):
        g, rates, losses = gradient(
            model, state.parameters, batch, slice(start, start + batch_size),
            optimizer.learning_rate, optimizer.dependent_rate,
        )  # fmt: skip
        if not np.isfinite(losses[-1]):
            return TrainReport(step, total[-1], total[1:], step)
        total += losses
        finite, shrinks = True, (0.0, optimizer.l2, optimizer.l2)
        for v, slope, rate, l2 in zip(state.parameters, g, rates, shrinks, strict=True):
            at = rate > 0
            v[at] -= rate[at] * (slope[at] + l2 * v[at])
            finite = finite and np.isfinite(v[at]).all()
        if not finite:
            return TrainReport(step, total[-1], total[1:], step)
        state.step[0] += 1
    return TrainReport(-(-batch.n_rows // batch_size), total[-1], total[1:], -1)


def gradient(model, parameters, batch, part, rate, dependent_rate):
    """Mean gradient, the rate of each number that a row touches, sums of the losses."""
    g, rates = (zero_parameters(model.layout, float) for _ in range(2))
    rates.bias[0] = rate
    losses = np.zeros(model.layout.n_levels + 1)
    n_rows = max(1, len(batch.labels[part]))
    slopes, own_rates = (tables_of(array, model.layout) for array in (g, rates))
    for y, ids, x, levels, z in rows_of(model, parameters, batch, part):
        losses += loss_values(model.loss, z, y)
        p = [*(z if model.loss == "square" else probability(z)), 0.0]
        slope = p[-2] - y
        g.bias[0] += slope
        g.linear[ids] += slope * x
        rates.linear[ids] = rate
        for k, (i, dependent, e, e_free) in enumerate(levels):
            toward_next = (p[k + 1] - p[k + 2]) * e  # Algorithm 1
            if model.projection == "joint":
                toward_next += slope * e_free
            slopes[k][i] += np.where(dependent, toward_next, slope * e)
            if len(i) > 1:  # alone, a feature is in no pair
                own_rates[k][i] = np.where(dependent, dependent_rate, rate)
    return Parameters(*(array / n_rows for array in g)), rates, losses


def rows_of(model, parameters, batch, part=slice(None)):
    """Label, ids and values of each row, its levels, and linear part, z_1 ... z_m."""
    if model.name not in ("lr", "fm", "rafm"):
        raise NotImplementedError(f"the example does not compute {model.name}")
    cuts = (*model.layout.features_at_rank, 0)[1:]
    for r in range(batch.n_rows)[part]:
        inside = slice(batch.indptr[r], batch.indptr[r + 1])
        ids, values = batch.ids[inside], batch.values
        x = np.ones(len(ids)) if values is None else values[inside].astype(float)
        levels, shared = [], 0.0
        z = [parameters.bias[0] + x @ parameters.linear[ids]]
        for v, cut in zip(tables_of(parameters, model.layout), cuts, strict=True):
            i, xi = ids[ids < len(v)], x[ids < len(v), None]
            xv, dependent = xi * v[i], (i < cut)[:, None]
            z.append(z[-1] - shared + pair_sum(xv))  # Theorem 3
            shared = pair_sum(xv[i < cut])
            e_free = xi * np.sum(xv * ~dependent, axis=0)  # x_i (s_k - t_k)
            levels.append((i, dependent, xi * (xv.sum(axis=0) - xv), e_free))
        yield batch.labels[r], ids, x, levels, np.array(z)


def pair_sum(xv):
    return 0.5 * np.sum(xv * (xv.sum(axis=0) - xv))  # Eq. (7)
