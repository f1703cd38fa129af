"""Batches, losses, parameters and states: their doors, and their way to a file."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_kernels import (
    OPTIMIZERS,
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    loss_values,
    make_batch,
    make_model,
    parameter_arrays,
    parameters_from_arrays,
    probability,
    state_arrays,
    state_from_arrays,
)
from rafm_kernels.testing.problems import make_problem, random_batch, slice_rows


def test_duplicate_ids_of_a_row_become_one_with_the_sum_of_values():
    batch = make_batch(
        [0, 4, 4, 6], [7, 2, 7, 7, 2, 2], [0, 1, 1], [1, 2, 3, 4, 5, 6], n_features=8
    )
    assert batch.indptr.tolist() == [0, 2, 2, 3]
    assert batch.ids.tolist() == [7, 2, 2]
    assert batch.values is not None
    assert batch.values.tolist() == [8, 2, 11]


def test_duplicates_without_values_count_how_often():
    batch = make_batch([0, 3], [4, 4, 1], [0], fields=[0, 0, 1], n_features=8)
    assert batch.ids.tolist() == [4, 1]
    assert batch.values is not None
    assert batch.values.tolist() == [2, 1]
    assert batch.fields is not None
    assert batch.fields.tolist() == [0, 1]


def test_rows_without_duplicates_are_taken_as_they_are():
    ids = np.array([3, 1], np.int32)
    batch = make_batch([0, 1, 2], ids, [0, 1], n_features=4)
    assert batch.ids is ids
    assert batch.values is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": [0, 9]}, r"must lie in 0\.\.3, got 9 in row 1"),
        ({"ids": [0, -1]}, "got -1 in row 1"),
        ({"ids": [0.0, 1.0]}, "`ids` must be integers, got float64"),
        ({"indptr": [0, 1]}, "one number more than the 2 labels, got 2"),
        ({"indptr": [0, 1, 3]}, "must rise from 0 to the number of entries, 2"),
        ({"indptr": [0, 2, 1]}, "must rise"),
        ({"labels": [0, np.nan]}, "must be finite, got nan in row 1"),
        ({"values": [1, np.inf]}, "must be finite, got inf in row 1"),
        ({"values": [1]}, "one number for each of the 2 entries, got 1"),
        ({"fields": [1]}, "one number for each of the 2 entries, got 1"),
        ({"ids": [[0], [1]]}, r"`ids` must be one-dimensional, got shape \(2, 1\)"),
        ({"labels": [[0, 1]]}, "`labels` must be one-dimensional"),
        ({"values": [[1, 2]]}, "`values` must be one-dimensional"),
        ({"fields": [[0, 1]]}, "`fields` must be one-dimensional"),
        ({"indptr": [[0, 1, 2]]}, "`indptr` must be one-dimensional"),
    ],
)
def test_a_batch_refuses_arrays_that_do_not_fit(change, message):
    given = {"indptr": [0, 1, 2], "ids": [0, 1], "labels": [0, 1], **change}
    with pytest.raises(ValueError, match=message):
        make_batch(**given, n_features=4)


def test_losses_far_out_are_exact_and_never_overflow():
    z = np.array([-1e4, -800.0, 0.0, 800.0, 1e4])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert loss_values("log", z, np.ones(5)).tolist() == [
            1e4, 800.0, np.log(2), 0.0, 0.0,
        ]  # fmt: skip
        assert probability(z).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert loss_values("square", np.array([3.0]), np.array([1.0])).tolist() == [4.0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_from_a_saved_state_as_if_it_had_not_stopped(backend, name):
    """Twice 25 steps with the state saved between equal 50 in one go."""
    problem = make_problem("rafm-4-joint", dtype="float32")
    optimizer = Optimizer(name, 0.05, 0.01, l2=1e-4)
    batch = random_batch(np.random.default_rng(0), 400, 28)
    through, stopped = (
        init_state(problem.model, optimizer, init_parameters(problem.model, 0))
        for _ in range(2)
    )
    backend.train(problem.model, through, optimizer, batch, 8)
    for half in (slice_rows(batch, 0, 200), slice_rows(batch, 200, 400)):
        backend.train(problem.model, stopped, optimizer, half, 8)
        saved = {k: v.copy() for k, v in state_arrays(stopped, problem.model).items()}
        stopped = state_from_arrays(saved, problem.model, optimizer)
    assert stopped.step[0] == 50
    for part, array in state_arrays(through, problem.model).items():
        assert array.tobytes() == state_arrays(stopped, problem.model)[part].tobytes()


def test_parameters_come_back_from_their_arrays():
    problem = make_problem("rafm-4-joint", dtype="float32")
    layout = problem.model.layout
    arrays = parameter_arrays(problem.parameters, layout)
    assert list(arrays) == ["bias", "linear", *(f"embeddings.{k}" for k in range(1, 5))]
    back = parameters_from_arrays(arrays, layout)
    assert all(
        np.array_equal(a, b) for a, b in zip(back, problem.parameters, strict=True)
    )


def test_arrays_of_another_layout_or_optimizer_are_refused():
    problem = make_problem("rafm-joint", dtype="float32")
    layout = problem.model.layout
    arrays = parameter_arrays(problem.parameters, layout)
    with pytest.raises(ValueError, match=r"'embeddings\.2' is missing"):
        parameters_from_arrays({k: arrays[k] for k in list(arrays)[:3]}, layout)
    wrong = {**arrays, "linear": arrays["linear"][:4]}
    with pytest.raises(ValueError, match=r"'linear' must have shape \(30,\)"):
        parameters_from_arrays(wrong, layout)
    adagrad, sgd = Optimizer("adagrad"), Optimizer("sgd")
    state = init_state(problem.model, sgd, problem.parameters)
    unnamed = state._replace(optimizer="")
    with pytest.raises(ValueError, match=r"sums\.bias.* optimizer 'adagrad'"):
        state_from_arrays(state_arrays(unnamed, problem.model), problem.model, adagrad)


def test_arrays_of_another_type_are_refused_not_cast():
    problem = make_problem("rafm-joint", dtype="float32")
    layout = problem.model.layout
    arrays = parameter_arrays(problem.parameters, layout)
    mixed = {**arrays, "embeddings.2": arrays["embeddings.2"].astype(np.float64)}
    with pytest.raises(
        ValueError, match=r"'embeddings\.2' must be float32 as 'linear'"
    ):
        parameters_from_arrays(mixed, layout)
    adagrad = Optimizer("adagrad")
    state = init_state(problem.model, adagrad, problem.parameters)
    saved = state_arrays(state, problem.model)
    saved["sums.linear"] = saved["sums.linear"].astype(np.float64)
    with pytest.raises(
        ValueError, match=r"'sums\.linear' must be float32, got float64"
    ):
        state_from_arrays(saved, problem.model, adagrad)


def test_a_state_of_an_optimizer_with_equal_shapes_is_refused_by_its_name():
    """FTRL would take Adam's u for its z."""
    problem = make_problem("rafm-joint", dtype="float32")
    adam, ftrl = Optimizer("adam"), Optimizer("ftrl")
    state = init_state(problem.model, adam, problem.parameters)
    saved = state_arrays(state, problem.model)
    assert bytes(saved["optimizer"]) == b"adam"
    assert state_from_arrays(saved, problem.model, adam).optimizer == "adam"
    with pytest.raises(ValueError, match="was made by optimizer 'adam', got 'ftrl'"):
        state_from_arrays(saved, problem.model, ftrl)
    del saved["optimizer"]  # as files of before are
    assert state_from_arrays(saved, problem.model, ftrl).optimizer == "ftrl"


def test_seeds_and_types_out_of_range_are_refused():
    model = make_model("fm", [2, 1], (2,), loss="log")
    with pytest.raises(ValueError, match="`seed` must not be negative, got -1"):
        init_parameters(model, -1)
    with pytest.raises(ValueError, match="unknown dtype 'float16'"):
        init_parameters(model, 0, "float16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        make_model("fm", [2, 1], (2,), loss="hinge")  # type: ignore[arg-type]


def test_read_only_arrays_train_like_writable_ones():
    problem = make_problem("fm", dtype="float32")
    batch = problem.batch
    frozen = batch._replace(ids=batch.ids.copy(), labels=batch.labels.copy())
    frozen.ids.flags.writeable = frozen.labels.flags.writeable = False
    backend = load_backend("numba")
    expected = backend.scores(problem.model, problem.parameters, batch)
    got = backend.scores(problem.model, problem.parameters, frozen)
    assert np.array_equal(got, expected)


def test_values_of_another_float_type_are_taken_as_the_parameters(backend):
    problem = make_problem("rafm-joint", dtype="float32")
    batch = problem.batch
    assert batch.values is not None
    wide = batch._replace(values=batch.values.astype(np.float64))
    expected = backend.scores(problem.model, problem.parameters, batch)
    got = backend.scores(problem.model, problem.parameters, wide)
    assert np.array_equal(got, expected)
