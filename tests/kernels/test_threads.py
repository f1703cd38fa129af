"""A thread that fails ends the others, which would wait for it for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from rafm_kernels import Optimizer, init_state
from rafm_kernels.backends import numba_run, numba_threads
from rafm_kernels.testing.problems import make_problem


def train_in_three_threads():
    problem = make_problem("fm")
    optimizer = Optimizer("adagrad", 0.05)
    state = init_state(problem.model, optimizer, problem.parameters)
    return numba_threads.train(problem.model, state, optimizer, problem.batch, 4, 3)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_memory_that_one_thread_lacks_is_an_error_of_the_call(monkeypatch, failing):
    whole, turn = numba_run.train_part, count()

    def part(*arguments):
        if next(turn) == failing:
            raise MemoryError("no scratch")
        return whole(*arguments)

    monkeypatch.setattr(numba_run, "train_part", part)
    with pytest.raises(MemoryError, match="no scratch"):
        train_in_three_threads()


def test_a_thread_that_cannot_start_is_an_error_of_the_call(monkeypatch):
    submit, turn = ThreadPoolExecutor.submit, count()

    def once(pool, work):
        if next(turn) == 1:
            raise RuntimeError("can't start new thread")
        return submit(pool, work)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", once)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        train_in_three_threads()
