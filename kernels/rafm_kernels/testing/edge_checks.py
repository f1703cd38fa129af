"""Checks of edges: rows without pairs, rows to refuse, numbers too large to add.

A check takes a backend and raises AssertionError; `over` says for which problems.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from rafm_kernels import (
    OPTIMIZERS,
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_batch,
    make_model,
    tables,
    zero_parameters,
)
from rafm_kernels.testing.grid import (
    EACH,
    all_models,
    all_models_and_optimizers,
    all_ways,
    each_model,
    each_model_and_optimizer,
    over,
)
from rafm_kernels.testing.problems import (
    N_FIELDS,
    assert_close,
    assert_equal,
    assert_same_bits,
    fields_of,
    insert_row,
    make_problem,
    random_batch,
    require,
    slice_rows,
    trained,
    training_rows,
)


@over(("key", "name"), [one for one in product(EACH, OPTIMIZERS) if one[0] != "mrma"])
@over("batch_size", [1, 8])
def check_one_feature_in_a_row_never_moves_an_embedding(backend, key, name, batch_size):
    """Leave it where it is: it is in no pair, and AdaGrad scales rounding up.

    MRMA takes no such row.
    """
    problem = make_problem(key)
    model, parameters = problem.model, problem.parameters
    before = parameters.embeddings.copy(), parameters.linear.copy()
    optimizer = Optimizer(name, 0.1)
    state = init_state(model, optimizer, parameters)
    ids, x = np.arange(60) % 30, np.linspace(0.3, 2.7, 60)
    batch = make_batch(np.arange(61), ids, ids % 2, x, ids % N_FIELDS, n_features=30)
    backend.train(model, state, optimizer, batch, batch_size)
    assert_equal(parameters.embeddings, before[0], "embeddings")
    moved = parameters.linear != before[1]
    assert_equal(moved, [True] * 30, "linear weights that moved")


@all_models_and_optimizers
def check_features_that_training_never_sees_stay_at_zero(backend, key, name):
    problem = make_problem(key, dtype="float32")
    state, _ = trained(backend, problem, Optimizer(name, 0.1, l2=1e-3), steps=10)
    for table in tables(state.parameters, problem.model.layout):
        assert_equal(table[28:], np.zeros_like(table[28:]), "their embeddings")
    assert_equal(state.parameters.linear[28:], [0, 0], "their linear weights")


@over("key", ["ffm"])
@over("batch_size", [1, 4])
def check_l2_leaves_vectors_for_fields_that_no_row_holds(backend, key, batch_size):
    """AdaGrad would scale even the smallest gradient up to whole steps."""
    model = make_model("ffm", [9, 9, 9], (4,), loss="log", n_fields=3)
    parameters = init_parameters(model, 0, "float64")
    before = tables(parameters, model.layout)[0].copy().reshape(3, 3, 4)
    optimizer = Optimizer("adagrad", 0.1, l2=1e-3)
    state = init_state(model, optimizer, parameters)
    ids = [0, 1, 0, 1]
    batch = make_batch([0, 2, 4], ids, [1, 0], [1.0] * 4, ids, n_features=3)
    backend.train(model, state, optimizer, batch, batch_size)
    after = tables(parameters, model.layout)[0].reshape(3, 3, 4)
    moved = np.argwhere((after != before).all(axis=2)).tolist()
    assert_equal(moved, [[0, 1], [1, 0]], "vectors that moved")


@over("key", ["ffm"])
@over("rank", [4, 6])
@over("name", ["sgd", "adagrad"])
def check_rows_of_many_fields_agree_with_the_reference(backend, key, name, rank):
    """Rows of 0 to 13 fields, in their order, so that runs of them have gaps."""
    n_fields = 13
    model = make_model(
        "ffm", [9] * 3 * n_fields, (rank,), loss="log", n_fields=n_fields
    )
    rng = np.random.default_rng(1)
    held = rng.random((40, n_fields)) < np.linspace(0, 1, 40)[:, None]
    fields = np.nonzero(held)[1]
    ids = fields * 3 + rng.integers(0, 3, len(fields))
    batch = make_batch(
        np.concatenate([[0], held.sum(axis=1).cumsum()]),
        ids,
        rng.integers(0, 2, 40),
        rng.normal(1, 0.5, len(ids)),
        fields,
        n_features=3 * n_fields,
    )
    optimizer = Optimizer(name, 0.1, l2=1e-3)
    tables_of = []
    for side in (load_backend("numpy"), backend):
        parameters = init_parameters(model, 0, "float64")
        side.train(model, init_state(model, optimizer, parameters), optimizer, batch, 1)
        tables_of.append(parameters.embeddings)
    assert_close(tables_of[1], tables_of[0], 1e-10, "embeddings")


@over(
    ("key", "rows", "fields"),
    [
        ("mrma", [[0, 1], [3]], [0, 1, 0]),
        ("mrma", [[0, 3]], [0, 0]),
        ("mrma", [[0, 1]], None),
        ("ffm", [[0, 1]], None),
        ("ffm", [[0, 1]], [0, 3]),
    ],
)
def check_rows_that_do_not_fit_the_model_are_refused(backend, key, rows, fields):
    problem = make_problem(key)
    indptr = np.cumsum([0, *map(len, rows)])
    ids = [i for row in rows for i in row]
    batch = make_batch(indptr, ids, [0.0] * len(rows), None, fields, n_features=30)
    assert_refused(lambda: backend.scores(*problem[:2], batch), "scores of such rows")


@each_model_and_optimizer
def check_calls_that_do_not_fit_are_refused(backend, key, name):
    """Compiled code would read and write where it must not."""
    model, parameters, batch = make_problem(key)
    optimizer = Optimizer(name)
    state = init_state(model, optimizer, parameters)
    fit: list[Any] = [state, optimizer, batch, 4, 1]
    ids = batch.ids.copy()
    calls: dict[str, Any] = {}
    for bad_id in (30, -1):
        ids[-1] = bad_id
        calls[f"id {bad_id} of 30"] = (2, batch._replace(ids=ids.copy()))
    cut = batch.indptr.copy()
    cut[-1] += 1
    calls["rows beyond the last entry"] = (2, batch._replace(indptr=cut))
    short = parameters._replace(linear=parameters.linear[:-1])
    calls["a linear weight too few"] = (0, state._replace(parameters=short))
    other: Any = "sgd" if name != "sgd" else "adagrad"
    kept = init_state(model, Optimizer(other), parameters)
    calls[f"a state of {other}"] = (0, kept)
    calls[f"arrays of {other}"] = (0, kept._replace(optimizer=""))
    calls.update({"no row a step": (3, 0), "-1 rows a step": (3, -1)})
    calls["no thread"] = (4, 0)
    for what, (place, given) in calls.items():
        arguments = [*fit]
        arguments[place] = given
        before = parameters.linear.tobytes()
        assert_refused(lambda: backend.train(model, *arguments), what)  # noqa: B023
        assert_equal(parameters.linear.tobytes(), before, f"parameters after {what}")
        if place == 2:
            assert_refused(lambda: backend.scores(model, parameters, given), what)  # noqa: B023


def assert_refused(call, what):
    said = None
    try:
        call()
    except ValueError as error:
        said = error
    require(said is not None, f"expected a ValueError for {what}")


@over("key", ["mrma", "mrma-4"])
def check_far_out_weights_do_not_overflow(backend, key):
    problem = make_problem(key)
    for k, table in enumerate(tables(problem.parameters, problem.model.layout)):
        table[:, -1] = -2000.0 + 1500 * k
    levels = backend.level_scores(*problem)
    assert_equal(np.isfinite(levels).all(), True, "all finite")
    assert_close(backend.scores(*problem), levels[-1], 1e-14, "scores")


@over("key", ["rafm-joint"])
def check_an_empty_level_changes_no_score(backend, key):
    counts = [3, 2, 1, 1]
    two = make_model("rafm", counts, (2, 64), loss="square")
    assert_equal(two.layout.features_at_rank, (4, 0), "sizes of the levels")
    one = make_model("rafm", counts, (2,), loss="square")
    parameters = init_parameters(two, 0, "float64")
    batch = random_batch(np.random.default_rng(0), 10, 4, "square", max_entries=4)
    got = backend.scores(two, parameters, batch)
    alone = init_parameters(one, 0, "float64")
    assert_close(got, backend.scores(one, alone, batch), 1e-14, "scores")


@all_models
@over("name", ["sgd", "adagrad"])  # where the name matters little
def check_no_rows_give_no_scores_and_no_steps(backend, key, name):
    problem = make_problem(key)
    m = problem.model.layout.n_levels
    none = make_batch([0], [], [], [], [], n_features=30)
    scores = backend.scores(problem.model, problem.parameters, none)
    assert_equal(scores.shape, (0,), "shape of the scores")
    levels = backend.level_scores(problem.model, problem.parameters, none)
    assert_equal(levels.shape, (m, 0), "shape of the level scores")
    for part in backend.gradients(problem.model, problem.parameters, none):
        assert_equal(part, np.zeros_like(part), "gradient")
    optimizer = Optimizer(name)
    state = init_state(problem.model, optimizer, problem.parameters)
    report = backend.train(problem.model, state, optimizer, none, 4)
    assert_equal(
        (report.n_steps, report.loss_sum, report.bad_step), (0, 0.0, -1), "report"
    )


@each_model_and_optimizer
@over("dtype", ["float32", "float64"])
@all_ways
def check_a_loss_that_is_not_finite_stops_before_the_step(
    backend, key, name, dtype, batch_size, n_threads
):
    """Leave the state that the batches before give by themselves."""
    optimizer, ends = Optimizer(name, 0.1), []
    n_rows, at = 3 * batch_size + 5, 2 * batch_size + 2
    rows = training_rows(fields_of(make_problem(key).batch), "square", n_rows, 28)
    bad_step = at // batch_size
    for batch in (
        slice_rows(rows, 0, bad_step * batch_size),
        insert_row(rows, at, [28, 29], [1, 1], 1.0),
    ):
        problem = make_problem(key, "square", dtype)
        parameters = init_parameters(problem.model, 0, dtype)
        parameters.linear[29] = np.inf
        state = init_state(problem.model, optimizer, parameters)
        report = backend.train(
            problem.model, state, optimizer, batch, batch_size, n_threads
        )
        ended = bad_step if batch.n_rows > n_rows else -1
        found = report.n_steps, report.bad_step, state.step[0]
        assert_equal(found, (bad_step, ended, bad_step), "n_steps, bad_step, step")
        ends.append((parameters, report.loss_sum))
    assert_same_bits(ends[1][0], ends[0][0], "parameters")
    assert_equal(ends[1][1], ends[0][1], "loss_sum")


@over("key", EACH[1:])
@over("name", ["sgd"])  # others make no step as large
@all_ways
def check_an_embedding_that_is_not_finite_ends_training_at_its_step(
    backend, key, name, batch_size, n_threads
):
    """Its gradient is finite, and so is the linear part: one feature's v is 0."""
    problem = make_problem(key, dtype="float32")
    model, parameters = problem.model, init_parameters(problem.model, 0)
    for part in tables(parameters, model.layout):
        part[28:29], part[29:30] = 0, 1e4
    optimizer = Optimizer(name, 1e38)
    state = init_state(model, optimizer, parameters)
    n_rows = 2 * batch_size + 5
    rows = training_rows(fields_of(problem.batch), "log", n_rows, 28)
    batch = insert_row(rows, 0, [28, 29], [1, 1], 1.0)
    report = backend.train(model, state, optimizer, batch, batch_size, n_threads)
    found = report.n_steps, report.bad_step, state.step[0]
    assert_equal(found, (0, 0, 0), "n_steps, bad_step, step")


@each_model
def check_gradients_of_a_loss_that_is_not_finite_are_nan(backend, key):
    problem = make_problem(key, "square")
    problem.parameters.linear[0] = np.inf
    batch = insert_row(problem.batch, 3, [0, 1], [1, 1], 1.0)
    found = backend.gradients(problem.model, problem.parameters, batch)
    for name, array in found._asdict().items():
        assert_equal(np.isnan(array).all(), True, f"{name} is NaN")


@each_model_and_optimizer
@over("batch_size", [1, 2])
def check_huge_margins_do_not_overflow(backend, key, name, batch_size):
    model = make_problem(key).model
    parameters = zero_parameters(model.layout)
    parameters.linear[:2] = [1e4, -1e4]
    ids = np.array([0, 28, 1, 29])
    batch = make_batch([0, 2, 4], ids, [0, 1], None, ids % N_FIELDS, n_features=30)
    optimizer = Optimizer(name, 0.1)
    state = init_state(model, optimizer, parameters)
    report = backend.train(model, state, optimizer, batch, batch_size)
    assert_close([report.loss_sum], [2e4], 1e-4, "loss_sum")
    assert_equal(report.bad_step, -1, "bad_step")
