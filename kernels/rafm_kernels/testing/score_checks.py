"""Checks of scores and gradients: against loops over pairs, and finite differences.

A check takes a backend and raises AssertionError; `over` says for which problems.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from rafm_kernels import load_backend, tables, zero_parameters
from rafm_kernels.testing import naive
from rafm_kernels.testing.grid import all_losses, all_models, over
from rafm_kernels.testing.problems import (
    assert_close,
    make_problem,
    naive_rows,
    naive_score,
)


@cache
def scores_of_the_oracle(key, with_values, top=None):
    """Score the rows of a problem, once for all backends."""
    problem = make_problem(key, with_values=with_values)
    return [naive_score(problem, row, top) for row in naive_rows(problem.batch)]


@all_models
@over("with_values", [True, False])
def check_scores_equal_the_double_loop_over_pairs(backend, key, with_values):
    expected = scores_of_the_oracle(key, with_values)
    got = backend.scores(*make_problem(key, with_values=with_values))
    assert_close(got, expected, 1e-12, f"scores of {key}")


@all_models
def check_level_scores_are_the_scores_of_each_b_1k(backend, key):
    problem = make_problem(key)
    m = problem.model.layout.n_levels
    expected = [scores_of_the_oracle(key, True, k) for k in range(1, m + 1)]
    got = backend.level_scores(*problem)
    shape = (m, problem.batch.n_rows)
    assert_close(got, np.reshape(expected, shape), 1e-12, f"z_k of {key}")


def numeric_gradient(objective, array, index, step=1e-5):
    """Slope of `objective()` at one number, by central differences."""
    kept = array[index]
    array[index] = kept + step
    above = objective()
    array[index] = kept - step
    below = objective()
    array[index] = kept
    return (above - below) / (2 * step)


def prediction_objective(problem):
    rows, labels = naive_rows(problem.batch), problem.batch.labels.tolist()
    return lambda: (
        sum(
            naive.loss(problem.model.loss, naive_score(problem, row), y)
            for row, y in zip(rows, labels, strict=True)
        )
        / len(rows)
    )


def projection_objective(problem, k):
    """Mean loss of z_k against the next level's prediction, held where it is now."""
    rows = naive_rows(problem.batch)
    loss = problem.model.loss
    targets = [
        naive.soft_target(loss, naive_score(problem, row, k + 1)) for row in rows
    ]
    return lambda: (
        sum(
            naive.loss(loss, naive_score(problem, row, k), y)
            for row, y in zip(rows, targets, strict=True)
        )
        / len(rows)
    )


@over(
    "key",
    [
        "lr",
        "fm",
        "rafm-joint",
        "rafm-algorithm1",
        "rafm-4-algorithm1",
        "difacto-4",
        "mrma",
        "ffm",
        "ffm-one-per-field",
    ],
)
@all_losses
def check_gradients_equal_finite_differences(backend, key, loss):
    problem = make_problem(key, loss, n_rows=12, n_features=8)
    got = backend.gradients(*problem)
    expected = slopes_of_the_oracle(key, loss)
    for name in ("bias", "linear"):
        where = f"{name} of {key}, {loss}"
        assert_close(getattr(got, name), getattr(expected, name), 1e-6, where)
    layout = problem.model.layout
    both = tables(got, layout), tables(expected, layout)
    for k, (table, slopes) in enumerate(zip(*both, strict=True), 1):
        assert_close(table, slopes, 1e-6, f"v^({k}) of {key}, {loss}", scale=1.0)


@cache
def slopes_of_the_oracle(key, loss):
    """Gradient of `check_gradients_equal_finite_differences`, one for all backends."""
    problem = make_problem(key, loss, n_rows=12, n_features=8)
    parameters, model = problem.parameters, problem.model
    expected = zero_parameters(model.layout, "float64")
    objective = prediction_objective(problem)
    for name in ("bias", "linear"):
        array = getattr(parameters, name)
        slopes = [numeric_gradient(objective, array, i) for i in range(len(array))]
        getattr(expected, name)[...] = slopes
    found = tables(expected, model.layout)
    for k, table in enumerate(tables(parameters, model.layout)):
        n_dependent = model.dependents[k]
        own = projection_objective(problem, k + 1) if n_dependent else None
        for i, d in np.ndindex(table.shape):
            if i < n_dependent:
                found[k][i, d] = numeric_gradient(own, table, (i, d))
            if i >= n_dependent or model.projection == "joint":
                found[k][i, d] += numeric_gradient(objective, table, (i, d))
    return expected


@all_models
@all_losses
@over(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def check_gradients_agree_with_the_reference(backend, key, loss, dtype, tolerance):
    problem = make_problem(key, loss, dtype)
    expected = load_backend("numpy").gradients(*problem)
    got = backend.gradients(*problem)
    for name in expected._fields:
        array = getattr(expected, name)
        assert_close(getattr(got, name), array, tolerance, f"{name} of {key}")


@over("key", ["rafm-joint", "rafm-4-joint", "rafm-16-levels"])
@over("dtype", ["float32", "float64"])
def check_levels_without_free_features_are_skipped_within_rounding(backend, key, dtype):
    """A_kk = A_k,k+1 there: leaving both out is what the full sum gives."""
    problem = make_problem(key, dtype=dtype, n_rows=200)
    full = backend.level_scores(*problem)[-1]
    assert_close(backend.scores(*problem), full, 1e-14, f"scores of {key}")
