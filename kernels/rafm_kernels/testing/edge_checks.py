"""Checks of edges: rows without pairs, rows to refuse, numbers too large to add.

A check takes a backend and raises AssertionError; `over` says for which problems.
"""

from __future__ import annotations

import numpy as np

from rafm_kernels import (
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
    all_models,
    all_models_and_optimizers,
    all_optimizers,
    over,
)
from rafm_kernels.testing.problems import (
    assert_close,
    assert_equal,
    assert_same_bits,
    make_problem,
    random_batch,
    trained,
)


@over("key", ["rafm-joint"])
@all_optimizers
def check_one_feature_in_a_row_never_moves_an_embedding(backend, key, name):
    """Leave it where it is: it is in no pair, and AdaGrad scales rounding up."""
    model = make_model("rafm", [50, 3, 1], (2, 4), loss="log")
    parameters = init_parameters(model, 0)
    before = parameters.embeddings.copy()
    optimizer = Optimizer(name, 0.1)
    state = init_state(model, optimizer, parameters)
    x = np.linspace(0.3, 2.7, 40)
    batch = make_batch(
        np.arange(41), np.arange(40) % 3, np.arange(40) % 2, x, n_features=3
    )
    backend.train(model, state, optimizer, batch, 8)
    assert_equal(parameters.embeddings, before, "embeddings")
    assert_equal(parameters.linear != 0, [True] * 3, "linear weights that moved")


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
    ("key", "rows", "fields", "message"),
    [
        ("mrma", [[0, 1], [3]], [0, 1, 0], "two features in each row, got 1 in row 1"),
        ("mrma", [[0, 3]], [0, 0], "got field 0 twice in row 0"),
        ("mrma", [[0, 1]], None, "the batch has no `fields`"),
        ("ffm", [[0, 1]], None, "the batch has no `fields`"),
        ("ffm", [[0, 1]], [0, 3], "`fields` must lie in 0..2"),
    ],
)
def check_rows_that_do_not_fit_the_model_are_refused(
    backend, key, rows, fields, message
):
    problem = make_problem(key)
    indptr = np.cumsum([0, *map(len, rows)])
    ids = [i for row in rows for i in row]
    batch = make_batch(indptr, ids, [0.0] * len(rows), None, fields, n_features=30)
    said = ""
    try:
        backend.scores(problem.model, problem.parameters, batch)
    except ValueError as error:
        said = str(error)
    assert message in said, f"expected a ValueError with {message!r}, got {said!r}"


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


@over("key", ["fm", "rafm-joint"])
@over("dtype", ["float32", "float64"])
@all_optimizers
def check_a_loss_that_is_not_finite_stops_before_the_step(backend, key, dtype, name):
    """Leave the state that the rows before give by themselves."""
    optimizer, ends = Optimizer(name, 0.1), []
    for n_rows in (2, 4):
        problem = make_problem(key, "square", dtype)
        parameters = problem.parameters
        parameters.linear[2] = np.inf  # the third row has the third feature
        rows = np.arange(n_rows)
        ones = np.ones(n_rows)
        batch = make_batch(np.arange(n_rows + 1), rows, ones, ones, n_features=30)
        state = init_state(problem.model, optimizer, parameters)
        report = backend.train(problem.model, state, optimizer, batch, 1)
        bad_step = 2 if n_rows > 2 else -1
        assert_equal((report.n_steps, report.bad_step), (2, bad_step), "steps")
        assert_equal(state.step[0], 2, "state.step")
        ends.append(parameters)
    assert_same_bits(ends[1], ends[0], "parameters")


@over("key", ["lr"])
@all_optimizers
def check_huge_margins_do_not_overflow(backend, key, name):
    model = make_model("lr", [2, 2], (), loss="log")
    parameters = zero_parameters(model.layout)
    parameters.linear[...] = [1e4, -1e4]
    batch = make_batch([0, 1, 2], [0, 1], [0, 1], n_features=2)
    optimizer = Optimizer(name, 0.1)
    state = init_state(model, optimizer, parameters)
    report = backend.train(model, state, optimizer, batch, 2)
    assert_close([report.loss_sum], [2e4], 1e-6, "loss_sum")
    assert_equal(report.bad_step, -1, "bad_step")
