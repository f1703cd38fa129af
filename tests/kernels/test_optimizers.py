"""Every optimizer in every backend: its formula, its zeros, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rafm_kernels import (
    OPTIMIZERS,
    Optimizer,
    Parameters,
    init_parameters,
    init_state,
    make_batch,
    make_model,
    tables,
)
from rafm_kernels.testing import naive
from rafm_kernels.testing.grid import EACH
from rafm_kernels.testing.problems import (
    assert_close,
    fields_of,
    insert_row,
    make_problem,
    random_batch,
    slice_rows,
    training_rows,
)

NAMES: Any = OPTIMIZERS
SETTINGS = {
    **{name: Optimizer(name, 0.05, 0.02, l2=1e-2) for name in NAMES},
    "adam-dense, l2 on all": Optimizer(
        "adam-dense", 0.05, 0.02, l2=0.5, l2_scope="all"
    ),
    "ftrl, l1": Optimizer("ftrl", 0.3, 0.2, l2=0.1, l1=0.02, beta=0.5),
    "adagrad from 1": Optimizer("adagrad", 0.5, l2=1e-2, initial_accumulator=1.0),
    "rows from 0.1": Optimizer("adagrad-row", 0.5, initial_accumulator=0.1),
    "adam, other means": Optimizer("adam", 0.05, beta1=0.5, beta2=0.7),
}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def touched(batch, size):
    """Features below `size` that some row pairs with another such one."""
    rows = [
        [i for i in batch.ids[a:b].tolist() if i < size]
        for a, b in zip(batch.indptr, batch.indptr[1:], strict=False)
    ]
    return {i for row in rows if len(row) > 1 for i in row}


class Oracle:
    """A model's numbers, each stepped by itself from the gradients of a backend."""

    def __init__(self, model, parameters, o):
        self.model, self.o = model, o
        rate, l2, l1 = o.learning_rate, o.l2, o.l1
        linear_l2 = 0.0 if o.l2_scope == "all" else l2
        self.bias = naive.Step(o, float(parameters.bias[0]), rate, 0.0, 0.0)
        self.linear = [
            naive.Step(o, w, rate, linear_l2, l1) for w in parameters.linear.tolist()
        ]
        sizes = (*model.layout.features_at_rank, 0)
        self.tables = [
            [
                [
                    naive.Step(o, v, o.dependent_rate if i < cut else rate, l2, l1)
                    for v in row
                ]
                for i, row in enumerate(table.tolist())
            ]
            for table, cut in zip(
                tables(parameters, model.layout), sizes[1:], strict=True
            )
        ]

    def step(self, g, batch, t):
        self.bias.step(float(g.bias[0]), t)
        seen = set(batch.ids.tolist())
        for i, one in enumerate(self.linear):
            one.step(float(g.linear[i]) if i in seen else None, t)
        found = tables(g, self.model.layout)
        for k, size in enumerate(self.model.layout.features_at_rank):
            paired = touched(batch, size)
            for i, row in enumerate(self.tables[k]):
                self.step_row(row, found[k][i].tolist() if i in paired else None, t)

    def step_row(self, row, g, t):
        square = None
        if g is not None and self.o.name == "adagrad-row":
            whole = [a + one.l2 * one.v for a, one in zip(g, row, strict=True)]
            square = sum(a * a for a in whole) / len(whole)
        for d, one in enumerate(row):
            one.step(None if g is None else g[d], t, square)


@pytest.mark.parametrize("key", SETTINGS)
def test_steps_equal_the_formula_number_by_number(backend, key):
    o, problem = SETTINGS[key], make_problem("rafm-joint", n_rows=30)
    model, parameters = problem.model, problem.parameters
    state = init_state(model, o, parameters)
    oracle = Oracle(model, parameters, o)
    for t in range(1, 11):
        part = slice_rows(problem.batch, 3 * t - 3, 3 * t)
        g = backend.gradients(model, parameters, part)
        backend.train(model, state, o, part, 3)
        oracle.step(g, part, t)
    assert_close(parameters.bias, [oracle.bias.v], 1e-10, f"bias, {key}")
    assert_close(parameters.linear, [w.v for w in oracle.linear], 1e-10, "linear")
    for k, table in enumerate(tables(parameters, model.layout)):
        expected = [[one.v for one in row] for row in oracle.tables[k]]
        assert_close(table, expected, 1e-10, f"v^({k + 1}), {key}")


def test_lazy_adam_leaves_what_a_batch_does_not_touch_and_dense_moves_it(backend):
    """Both make the same first step; then the batch has other features."""
    model = make_model("fm", [4, 4, 4, 4], (3,), loss="log")
    first = make_batch([0, 2], [0, 1], [1], n_features=4)
    second = make_batch([0, 2], [2, 3], [0], n_features=4)
    ends = {}
    for name in ("adam", "adam-dense"):
        o, parameters = Optimizer(name, 0.1), init_parameters(model, 0)
        state = init_state(model, o, parameters)
        backend.train(model, state, o, first, 1)
        middle = Parameters(*(array.copy() for array in parameters))
        backend.train(model, state, o, second, 1)
        moved = tables(parameters, model.layout)[0] != tables(middle, model.layout)[0]
        ends[name] = middle
        assert moved[2:].all()
        assert moved[:2].all() == moved[:2].any() == (name == "adam-dense")
    for a, b in zip(ends["adam"], ends["adam-dense"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_ftrl_starts_where_the_parameters_start(backend):
    """A batch that pulls at nothing leaves every embedding where it was drawn."""
    model = make_model("fm", [4, 4], (16,), loss="square")
    parameters = init_parameters(model, 0, "float64")
    before = parameters.embeddings.copy()
    own = backend.scores(
        model, parameters, make_batch([0, 2], [0, 1], [0], n_features=2)
    )
    batch = make_batch([0, 2], [0, 1], own.astype(np.float32), n_features=2)
    o = Optimizer("ftrl", 0.3, beta=0.7)
    backend.train(model, init_state(model, o, parameters), o, batch, 1)
    np.testing.assert_allclose(parameters.embeddings, before, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ftrl_with_l1_makes_exact_zeros_and_keeps_what_is_pulled_at(backend, dtype):
    problem = make_problem("rafm-4-joint", dtype=dtype)
    zeros = []
    for l1 in (0.0, 0.01, 1e6):
        o = Optimizer("ftrl", 0.1, l1=l1)
        parameters = init_parameters(problem.model, 3, dtype)
        state = init_state(problem.model, o, parameters)
        batch = random_batch(np.random.default_rng(5), 200, 28)
        backend.train(problem.model, state, o, batch, 8)
        named = (
            parameters.linear[:28],
            tables(parameters, problem.model.layout)[0][:20],
        )
        zeros.append(np.mean(np.concatenate([a.ravel() for a in named]) == 0))
    assert zeros[0] == 0
    assert 0 < zeros[1] < 1
    assert zeros[2] == 1


every_way = pytest.mark.parametrize(
    ("batch_size", "n_threads"), [(1, 1), (1, 3), (64, 1), (64, 3)]
)


@every_way
@every_optimizer
@pytest.mark.parametrize("key", EACH[1:])
def test_a_gradient_that_is_not_finite_ends_training_at_its_step(
    backend, key, name, batch_size, n_threads
):
    """Of one feature v is 0: the score is small, the loss finite.

    The square of the other feature's gradient, about 1e30, is not in float32.
    """
    problem = make_problem(key, dtype="float32")
    model, parameters = problem.model, init_parameters(problem.model, 0)
    for part in tables(parameters, model.layout):
        part[28:29], part[29:30] = 0, 1
    o = Optimizer(name, 0.1)
    state = init_state(model, o, parameters)
    n_rows, at = 3 * batch_size + 5, 2 * batch_size + 2
    rows = training_rows(fields_of(problem.batch), "log", n_rows, 28)
    batch = insert_row(rows, at, [28, 29], [1e15, 1e15], 1.0)
    report = backend.train(model, state, o, batch, batch_size, n_threads)
    bad = at // batch_size
    assert (report.n_steps, report.bad_step, state.step[0]) == (bad, bad, bad)


@every_way
@pytest.mark.parametrize(("dtype", "rate"), [("float32", 1e38), ("float64", 1e308)])
def test_a_linear_weight_that_is_not_finite_ends_training_at_its_step(
    backend, dtype, rate, batch_size, n_threads
):
    model = make_model("lr", [4, 4], (), loss="square")
    parameters = init_parameters(model, 0, dtype)
    o = Optimizer("sgd", rate)
    state = init_state(model, o, parameters)
    labels = np.where(np.arange(128) < 64, 0, 1000)
    batch = make_batch(np.arange(129), np.arange(128) // 64, labels, n_features=2)
    report = backend.train(model, state, o, batch, batch_size, n_threads)
    bad = 64 // batch_size
    assert (report.n_steps, report.bad_step) == (bad, bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "lion"}, "unknown optimizer 'lion'; choose one of sgd, adagrad"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0 and finite, got 0.0"),
        ({"learning_rate": np.nan}, "got nan"),
        ({"dependent_learning_rate": -1.0}, "`dependent_learning_rate` must be above"),
        ({"l2": -1.0}, "`l2` must be at least 0 and finite, got -1.0"),
        ({"name": "ftrl", "l1": np.inf}, "`l1` must be at least 0 and finite, got inf"),
        ({"name": "ftrl", "beta": 0.0}, "`beta` must be above 0 and finite, got 0.0"),
        ({"name": "adam", "beta1": 1.0}, "`beta1` must lie between 0 and 1, got 1.0"),
        (
            {"l1": 0.1},
            "'adagrad' does not use `l1`, got 0.1; leave it out, or choose f",
        ),
        ({"name": "sgd", "beta2": 0.9}, "leave it out, or choose adam or adam-dense"),
        (
            {"name": "adam", "l2_scope": "all"},
            "'adam' does not use `l2_scope`, got all",
        ),
        ({"l2_scope": "some"}, "unknown l2 scope 'some'; choose one of touched, all"),
    ],
)
def test_an_optimizer_refuses_settings_out_of_range_or_not_its_own(arguments, message):
    with pytest.raises(ValueError, match=message):
        Optimizer(**arguments)
