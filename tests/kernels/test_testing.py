"""The suite for authors of backends: who passes it, and what it finds."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rafm_kernels import MODELS
from rafm_kernels.testing import backend_checks, check_backend
from rafm_kernels.testing.problems import (
    assert_close,
    assert_equal,
    assert_same_bits,
    make_problem,
)
from tests.kernels import example_backend

CLAIMS = {"models": ["lr", "fm", "rafm"], "optimizers": ["sgd"]}


@pytest.mark.parametrize("check", backend_checks(**CLAIMS), ids=str)
def test_the_example_keeps_what_it_claims(check):
    check(example_backend)


def changed(**functions):
    """The example with some functions replaced."""
    return SimpleNamespace(**{**vars(example_backend), **functions})


def failures(backend):
    """Names of the checks of FM that a backend fails, without their problems."""
    with pytest.raises(AssertionError) as found:
        check_backend(backend, models=["fm"], optimizers=["sgd"])
    head, *lines = str(found.value).splitlines()
    assert head.startswith(f"{len(lines)} of ")
    return {line.split("[")[0] for line in lines} - {"a_model_is_refused"}


def test_scores_that_are_off_are_found():
    def scores(*args):
        return example_backend.scores(*args) * (1 + 1e-9)

    assert failures(changed(scores=scores)) == {
        "scores_equal_the_double_loop_over_pairs"
    }


def test_a_gradient_of_another_sign_is_found():
    def gradients(*args):
        found = example_backend.gradients(*args)
        return found._replace(bias=-found.bias)

    assert failures(changed(gradients=gradients)) == {
        "gradients_equal_finite_differences",
        "gradients_agree_with_the_reference",
    }


def test_steps_that_depend_on_the_number_of_threads_are_found():
    def train(model, state, optimizer, batch, batch_size, n_threads=1):
        report = example_backend.train(
            model, state, optimizer, batch, batch_size, n_threads
        )
        state.parameters.bias[0] += np.float32(1e-6) * (n_threads - 1)
        return report

    assert failures(changed(train=train)) == {"threads_do_not_change_a_bit"}


def test_a_step_of_a_loss_that_is_not_finite_is_found():
    def train(*args):
        report = example_backend.train(*args)
        return report._replace(bad_step=-1)

    assert failures(changed(train=train)) == {
        "a_loss_that_is_not_finite_stops_before_the_step",
        "an_embedding_that_is_not_finite_ends_training_at_its_step",
    }


def test_a_backend_that_breaks_is_a_finding_not_a_crash():
    def level_scores(*args):
        raise ZeroDivisionError("of the author's")

    assert failures(changed(level_scores=level_scores)) == {
        "level_scores_are_the_scores_of_each_b_1k",
        "no_rows_give_no_scores_and_no_steps",
    }


def test_a_claim_that_is_too_narrow_is_found():
    with pytest.raises(AssertionError) as found:
        check_backend(example_backend, models=["fm"], optimizers=["sgd"])
    lines = str(found.value).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [
        "a_model_is_refused[lr]",
        "a_model_is_refused[rafm]",
    ]
    assert "NotImplementedError for 'lr', or the backend must claim" in lines[0]


def test_a_refusal_names_what_is_refused():
    def scores(*args):
        raise NotImplementedError("no")

    with pytest.raises(AssertionError, match="scores: 'no' must name 'lr'"):
        check_backend(changed(scores=scores), models=["fm"], optimizers=["sgd"])


def test_checks_are_named_by_promise_and_problem():
    names = [str(check) for check in backend_checks()]
    assert len(set(names)) == len(names)
    assert "threads_do_not_change_a_bit[fm-sgd]" in names
    of_lr = [str(one) for one in backend_checks(models=["lr"], optimizers=["sgd"])]
    assert "threads_do_not_change_a_bit[lr-sgd]" in of_lr
    assert not [name for name in of_lr if "[fm" in name and "refused" not in name]
    refused = [name for name in of_lr if name.startswith("a_model_is_refused")]
    assert len(refused) == len(MODELS) - 1


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown 'gbm'; choose among lr, fm"):
        backend_checks(models=["gbm"])


def test_the_suite_needs_nothing_but_numpy():
    """It is for backends whose authors may not use our reference's rivals."""
    script = (
        "import sys, rafm_kernels.testing\n"
        "assert not {'pytest', 'hypothesis', 'numba', 'polars'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_suite_finds_what_it_finds_without_assert_statements():
    """`python -O` leaves them out."""
    script = (
        "from rafm_kernels.testing.problems import assert_equal\n"
        "try:\n"
        "    assert_equal(3, 4, 'rows')\n"
        "except AssertionError:\n"
        "    print('found')\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == "found\n"


def test_the_assertions_say_what_differs():
    with pytest.raises(AssertionError, match="rows: got 3, expected 4"):
        assert_equal(3, 4, "rows")
    with pytest.raises(
        AssertionError, match=r"z: got .*2\.5.*, expected .*2\.0.* index"
    ):
        assert_close([1.0, 2.5], [1.0, 2.0], 1e-9, "z")
    parameters = make_problem("fm").parameters
    other = parameters._replace(bias=parameters.bias + 0.5)
    with pytest.raises(AssertionError, match=r"bias differs by up to 5\.0e-01"):
        assert_same_bits(other, parameters, "two runs")
