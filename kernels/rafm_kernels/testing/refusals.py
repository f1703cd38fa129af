"""What a backend does not compute, it says in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rafm_kernels import MODELS, OPTIMIZERS, Optimizer, init_state
from rafm_kernels.testing.grid import Check
from rafm_kernels.testing.problems import MODELS as PROBLEMS
from rafm_kernels.testing.problems import Problem, make_problem, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rafm_kernels import Backend


def refusals(models: Sequence[str], optimizers: Sequence[str]) -> Iterator[Check]:
    """List a check for each model and each optimizer that is not among these."""
    for model in MODELS:
        if model not in models:
            yield Check(check_a_model_is_refused, {"model": model})
    for optimizer in OPTIMIZERS:
        if optimizer not in optimizers and models:
            arguments = {"model": models[0], "optimizer": optimizer}
            yield Check(check_an_optimizer_is_refused, arguments)


def check_a_model_is_refused(backend: Backend, model: str) -> None:
    """Neither scores nor steps of a model that is not computed."""
    problem = _problem(model)
    _assert_refused(lambda: backend.scores(*problem), model, "scores")
    _assert_refused(lambda: _train(backend, problem, "sgd"), model, "train")


def check_an_optimizer_is_refused(backend: Backend, model: str, optimizer: str) -> None:
    """No step of an optimizer that is not computed."""
    problem = _problem(model)
    _assert_refused(lambda: _train(backend, problem, optimizer), optimizer, "train")


def _problem(model: str) -> Problem:
    return make_problem(next(k for k, made in PROBLEMS.items() if made[0] == model))


def _train(backend: Backend, problem: Problem, name: Any) -> None:
    optimizer = Optimizer(name)
    state = init_state(problem.model, optimizer, problem.parameters)
    backend.train(problem.model, state, optimizer, problem.batch, 8)


def _assert_refused(call: Callable[[], object], name: str, function: str) -> None:
    sentence = None
    try:
        call()
    except NotImplementedError as error:
        sentence = str(error)
    if sentence is None:
        raise AssertionError(
            f"{function} must raise NotImplementedError for {name!r}, or the backend "
            "must claim to compute it"
        )
    require(name in sentence, f"{function}: {sentence!r} must name {name!r}")
