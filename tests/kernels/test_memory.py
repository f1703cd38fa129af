"""Where the arrays of training come from, and the bytes that they take."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_kernels import (
    OPTIMIZERS,
    Batch,
    Model,
    Optimizer,
    fill_state,
    init_parameters,
    init_state,
    make_model,
    memory_of,
    scratch_of,
    state_arrays,
    state_from_arrays,
)

if TYPE_CHECKING:
    from rafm_kernels import TrainState

SMALL = make_model("rafm", [90, 40, 12, 5, 2, 1, 0], (4, 32), loss="log")


def flat(state: TrainState) -> list[Any]:
    return [*state.parameters, *state.sums, *state.moments]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_arrays_of_a_state_are_asked_for_by_name(name: str) -> None:
    asked: dict[str, Any] = {}

    def allocate(array_name: str, n: int, dtype: Any) -> Any:
        asked[array_name] = np.zeros(n, dtype)
        return asked[array_name]

    optimizer = Optimizer(name, 0.1)  # type: ignore[arg-type]
    parameters = init_parameters(SMALL, 0, "float32", allocate)
    state = init_state(SMALL, optimizer, parameters, allocate)
    expected = init_state(SMALL, optimizer, init_parameters(SMALL, 0))
    assert {id(array) for array in flat(state) if array.size} == set(
        map(id, asked.values())
    )
    for got, other in zip(flat(state), flat(expected), strict=True):
        assert got.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_is_that_of_the_arrays(name: str, dtype: Any) -> None:
    optimizer = Optimizer(name, 0.1)  # type: ignore[arg-type]
    state = init_state(SMALL, optimizer, init_parameters(SMALL, 0, dtype))
    told = memory_of(SMALL, optimizer, dtype)
    assert told.parameters == sum(array.nbytes for array in state.parameters)
    assert told.optimizer == sum(array.nbytes for array in flat(state)[3:])


def large(n: int = 1 << 16) -> Model:
    return make_model("fm", np.ones(n, np.int64), (32,), loss="log")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_beginning_takes_no_array_besides_those_of_the_state(name: str) -> None:
    model, optimizer = large(), Optimizer(name, 0.1)  # type: ignore[arg-type]
    told = memory_of(model, optimizer)
    tracemalloc.start()
    try:
        state = init_state(model, optimizer, init_parameters(model, 0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert state.parameters.linear.size == model.layout.n_features
    assert peak < sum(told) + told.parameters // 8


def test_embeddings_drawn_in_parts_are_those_drawn_at_once() -> None:
    model = large()
    expected = np.random.default_rng([5, 0]).standard_normal(
        32 << 16, dtype=np.float32
    ) * np.float32(0.01)
    np.testing.assert_array_equal(init_parameters(model, 5).embeddings, expected)


def test_zeros_are_not_written_to_before_they_are_needed() -> None:
    def read_only(name: str, n: int, dtype: Any) -> Any:
        zeros = np.zeros(n, dtype)
        zeros.flags.writeable = False
        return zeros

    for name in OPTIMIZERS[:4]:
        optimizer = Optimizer(name, 0.1)  # type: ignore[arg-type]
        state = init_state(SMALL, optimizer, init_parameters(SMALL, 0), read_only)
        assert not any(array.any() for array in state.sums)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_is_filled_one_array_at_a_time(name: str) -> None:
    optimizer = Optimizer(name, 0.1)  # type: ignore[arg-type]
    source = init_state(SMALL, optimizer, init_parameters(SMALL, 3))
    for number, array in enumerate(flat(source)):
        array += number
    source.step[0] = 7
    target = init_state(SMALL, optimizer, init_parameters(SMALL, 0))
    fill_state(target, SMALL, optimizer, state_arrays(source, SMALL))
    again = state_from_arrays(state_arrays(source, SMALL), SMALL, optimizer)
    for array_name, expected in state_arrays(source, SMALL).items():
        for state in (target, again):
            np.testing.assert_array_equal(
                state_arrays(state, SMALL)[array_name], expected
            )
    assert target.step[0] == 7


def test_a_state_of_another_optimizer_does_not_fill_one() -> None:
    adam = Optimizer("adam", 0.1)
    sgd = Optimizer("sgd", 0.1)
    state = init_state(SMALL, adam, init_parameters(SMALL, 0))
    other = init_state(SMALL, sgd, init_parameters(SMALL, 0))
    with pytest.raises(ValueError, match="was made by optimizer 'sgd', got 'adam'"):
        fill_state(state, SMALL, adam, state_arrays(other, SMALL))
    unnamed = state_arrays(other._replace(optimizer=""), SMALL)
    with pytest.raises(ValueError, match=r"'sums\.bias' must have shape \(1,\)"):
        fill_state(state, SMALL, adam, unnamed)


@pytest.mark.parametrize(("name", "ranks"), [("rafm", (4, 32)), ("ffm", (4,))])
def test_scratch_is_about_what_compiled_code_takes(
    name: Any, ranks: tuple[int, ...]
) -> None:
    from rafm_kernels.backends import numba_run, numba_threads

    n_fields = 3 if name == "ffm" else None
    model = make_model(name, [9] * 500, ranks, loss="log", n_fields=n_fields)
    indptr, entries = np.arange(0, 193, 3), np.arange(192, dtype=np.int32)
    batch = Batch(indptr, entries, None, entries % 3, np.zeros(64, np.float32))
    parameters = init_parameters(model, 0)
    shape = numba_threads._shape(model)
    work = numba_run.make_shared_work(shape, parameters, batch, 64)
    taken = sum(array.nbytes for array in work)
    assert taken / 1.25 < scratch_of(model, 64, 192) < taken * 1.25
