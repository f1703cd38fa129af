"""Every backend: scores, gradients and steps, against the oracle and the reference."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_kernels import (
    OPTIMIZERS,
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_batch,
    make_model,
    state_arrays,
    tables,
    zero_parameters,
)
from tests.kernels import naive
from tests.kernels.problems import (
    LOSSES,
    MODELS,
    Problem,
    assert_close,
    assert_same_norm,
    make_problem,
    naive_rows,
    naive_tables,
    random_batch,
)

all_models = pytest.mark.parametrize("key", MODELS)
all_losses = pytest.mark.parametrize("loss", LOSSES)
both_types = pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)]
)


def naive_score(problem, row, top=None):
    return naive.score(
        row,
        float(problem.parameters.bias[0]),
        problem.parameters.linear.tolist(),
        naive_tables(problem),
        top,
    )


@all_models
@pytest.mark.parametrize("with_values", [True, False])
def test_scores_equal_the_double_loop_over_pairs(backend, key, with_values):
    problem = make_problem(key, with_values=with_values)
    expected = [naive_score(problem, row) for row in naive_rows(problem.batch)]
    assert_close(backend.scores(*problem), expected, 1e-12, f"scores of {key}")


@all_models
def test_level_scores_are_the_scores_of_each_b_1k(backend, key):
    problem = make_problem(key)
    m = problem.model.layout.n_levels
    rows = naive_rows(problem.batch)
    expected = [[naive_score(problem, r, k) for r in rows] for k in range(1, m + 1)]
    got = backend.level_scores(*problem)
    assert_close(got, np.reshape(expected, (m, len(rows))), 1e-12, f"z_k of {key}")


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


@pytest.mark.parametrize(
    "key", ["lr", "fm", "rafm-joint", "rafm-algorithm1", "rafm-4-algorithm1"]
)
@all_losses
def test_gradients_equal_finite_differences(backend, key, loss):
    problem = make_problem(key, loss, n_rows=12, n_features=8)
    got = backend.gradients(*problem)
    parameters, model = problem.parameters, problem.model
    objective = prediction_objective(problem)
    for name in ("bias", "linear"):
        array = getattr(parameters, name)
        expected = [numeric_gradient(objective, array, i) for i in range(len(array))]
        assert_close(getattr(got, name), expected, 1e-6, f"{name} of {key}, {loss}")
    sizes = (*model.layout.features_at_rank, 0)
    found = tables(got, model.layout)
    for k, table in enumerate(tables(parameters, model.layout)):
        own = projection_objective(problem, k + 1) if sizes[k + 1] else None
        for i, d in np.ndindex(table.shape):
            if i >= sizes[k + 1]:
                expected = numeric_gradient(objective, table, (i, d))
            else:
                expected = numeric_gradient(own, table, (i, d))
                if model.projection == "joint":
                    expected += numeric_gradient(objective, table, (i, d))
            where = f"v^({k + 1})[{i}, {d}] of {key}, {loss}"
            assert_close([found[k][i, d]], [expected], 1e-6, where, scale=1.0)


@all_models
@all_losses
@both_types
def test_gradients_agree_with_the_reference(backend, key, loss, dtype, tolerance):
    problem = make_problem(key, loss, dtype)
    expected = load_backend("numpy").gradients(*problem)
    got = backend.gradients(*problem)
    for name in expected._fields:
        array = getattr(expected, name)
        assert_close(getattr(got, name), array, tolerance, f"{name} of {key}")


def trained(backend, problem, optimizer, steps=50, batch_size=8, n_threads=1):
    """State after `steps` steps on the batches of one seeded stream."""
    start = init_parameters(problem.model, 3, problem.parameters.linear.dtype.name)
    state = init_state(problem.model, optimizer, start)
    n_features = problem.model.layout.n_features
    rng = np.random.default_rng(5)
    rows = steps * batch_size - min(3, batch_size - 1)  # the last batch is short
    batch = random_batch(rng, rows, n_features - 2, problem.model.loss)
    report = backend.train(
        problem.model, state, optimizer, batch, batch_size, n_threads
    )
    return state, report


@all_models
@all_losses
@both_types
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_50_steps_agree_with_the_reference(backend, key, loss, dtype, tolerance, name):
    problem = make_problem(key, loss, dtype)
    optimizer = Optimizer(name, 0.05, 0.02, l2=1e-3)
    if (key, dtype) == ("rafm-16-levels", "float32") and name != "sgd":
        # Ill conditioned: a dependent factor's gradient goes to 0 as levels agree, and
        # AdaGrad scales it up. The float32 reference is itself 1.6e-4 from float64.
        tolerance = 5e-4
    check_steps(backend, problem, optimizer, 8, tolerance)


@all_models
@all_losses
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_50_steps_of_one_row_agree_with_the_reference(backend, key, loss, name):
    problem = make_problem(key, loss, "float64")
    check_steps(backend, problem, Optimizer(name, 0.05, 0.02, l2=1e-3), 1, 1e-10)


def check_steps(backend, problem, optimizer, batch_size, tolerance):
    reference = load_backend("numpy")
    expected, expected_report = trained(
        reference, problem, optimizer, batch_size=batch_size
    )
    got, report = trained(backend, problem, optimizer, batch_size=batch_size)
    assert (report.n_steps, report.bad_step) == (50, -1)
    assert got.step[0] == 50
    named = state_arrays(expected, problem.model)
    for part, array in state_arrays(got, problem.model).items():
        assert_same_norm(array, named[part], tolerance, part)
    sums = [report.loss_sum, *report.level_loss_sums]
    expected_sums = [expected_report.loss_sum, *expected_report.level_loss_sums]
    assert_close(sums, expected_sums, tolerance, "losses")


@all_models
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_threads_do_not_change_a_bit(backend, key, name):
    problem = make_problem(key, dtype="float32")
    optimizer = Optimizer(name, 0.05, l2=1e-4)
    one, one_report = trained(backend, problem, optimizer)
    for n_threads in (2, 3):
        many, report = trained(backend, problem, optimizer, n_threads=n_threads)
        for a, b in zip(one.parameters, many.parameters, strict=True):
            assert a.tobytes() == b.tobytes(), f"{n_threads} threads, {key}"
        assert report.loss_sum == one_report.loss_sum
        assert report.level_loss_sums.tolist() == one_report.level_loss_sums.tolist()


@all_models
@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_one_call_makes_the_steps_of_many(backend, key, batch_size):
    problem = make_problem(key, dtype="float32")
    optimizer = Optimizer("adagrad", 0.1, l2=1e-4)
    states = []
    for rows_per_call in (batch_size, problem.batch.n_rows):
        parameters = init_parameters(problem.model, 1)
        state = init_state(problem.model, optimizer, parameters)
        for start in range(0, problem.batch.n_rows, rows_per_call):
            part = rows_of(problem, start, start + rows_per_call)
            backend.train(problem.model, state, optimizer, part, batch_size)
        states.append(state)
    for a, b in zip(*(s.parameters for s in states), strict=True):
        assert a.tobytes() == b.tobytes()


def rows_of(problem: Problem, start: int, stop: int):
    batch = problem.batch
    indptr = batch.indptr[start : stop + 1]
    inside = slice(indptr[0], indptr[-1])
    values = None if batch.values is None else batch.values[inside]
    labels = batch.labels[start:stop]
    return make_batch(
        indptr - indptr[0], batch.ids[inside], labels, values, n_features=30
    )


def test_one_feature_in_a_row_never_moves_an_embedding(backend):
    """It is in no pair: rounding must not become a step (AdaGrad scales it up)."""
    model = make_model("rafm", [50, 3, 1], (2, 4), loss="log")
    parameters = init_parameters(model, 0)
    before = parameters.embeddings.copy()
    optimizer = Optimizer("adagrad", 0.1)
    state = init_state(model, optimizer, parameters)
    x = np.linspace(0.3, 2.7, 40)
    batch = make_batch(
        np.arange(41), np.arange(40) % 3, np.arange(40) % 2, x, n_features=3
    )
    backend.train(model, state, optimizer, batch, 8)
    assert np.array_equal(parameters.embeddings, before)
    assert (parameters.linear != 0).all()


def test_features_that_training_never_sees_stay_at_zero(backend):
    problem = make_problem("rafm-joint", dtype="float32")
    state, _ = trained(backend, problem, Optimizer("adagrad", 0.1, l2=1e-3))
    for table in tables(state.parameters, problem.model.layout):
        assert (table[28:] == 0).all()
    assert (state.parameters.linear[28:] == 0).all()


def test_an_empty_level_changes_no_score(backend):
    counts = [3, 2, 1, 1]
    two = make_model("rafm", counts, (2, 64), loss="square")
    assert two.layout.features_at_rank == (4, 0)
    one = make_model("fm", counts, (2,), loss="square")
    parameters = init_parameters(two, 0, "float64")
    batch = random_batch(np.random.default_rng(0), 10, 4, "square", max_entries=4)
    got = backend.scores(two, parameters, batch)
    alone = init_parameters(one, 0, "float64")
    assert_close(got, backend.scores(one, alone, batch), 1e-14, "scores")


def test_no_rows_give_no_scores_and_no_steps(backend):
    problem = make_problem("rafm-joint")
    none = make_batch([0], [], [], n_features=30)
    assert backend.scores(problem.model, problem.parameters, none).shape == (0,)
    levels = backend.level_scores(problem.model, problem.parameters, none)
    assert levels.shape == (2, 0)
    state = init_state(problem.model, Optimizer(), problem.parameters)
    report = backend.train(problem.model, state, Optimizer(), none, 4)
    assert (report.n_steps, report.loss_sum, report.bad_step) == (0, 0.0, -1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_that_is_not_finite_stops_before_the_step(backend, dtype):
    problem = make_problem("fm", "square", dtype, n_rows=12)
    problem.parameters.linear[...] = 0
    problem.parameters.embeddings[...] = 0
    batch = make_batch([0, 1, 2, 3, 4], [0, 1, 2, 3], [1, 1, 1, 1], n_features=30)
    problem.parameters.linear[2] = np.inf
    optimizer = Optimizer("sgd", 0.1)
    state = init_state(problem.model, optimizer, problem.parameters)
    report = backend.train(problem.model, state, optimizer, batch, 1)
    assert (report.n_steps, report.bad_step) == (2, 2)
    assert state.step[0] == 2
    assert np.isinf(problem.parameters.linear[2])
    assert problem.parameters.linear[3] == 0


def test_huge_margins_do_not_overflow(backend):
    model = make_model("lr", [2, 2], (), loss="log")
    parameters = zero_parameters(model.layout)
    parameters.linear[...] = [1e4, -1e4]
    batch = make_batch([0, 1, 2], [0, 1], [0, 1], n_features=2)
    optimizer = Optimizer("sgd", 0.1)
    state = init_state(model, optimizer, parameters)
    report = backend.train(model, state, optimizer, batch, 2)
    assert report.loss_sum == pytest.approx(2e4)
    assert report.bad_step == -1
