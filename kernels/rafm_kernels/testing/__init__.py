"""The conformance suite: what every backend promises, for authors of backends.

With pytest, one test a check::

    @pytest.mark.parametrize("check", backend_checks(models=["fm"]), ids=str)
    def test_my_backend(check):
        check(my_backend)

or all at once: ``check_backend(my_backend, models=["fm"], optimizers=["sgd"])``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_kernels import MODELS, OPTIMIZERS
from rafm_kernels.testing import edge_checks, refusals, score_checks, step_checks
from rafm_kernels.testing.grid import Check as Check
from rafm_kernels.testing.grid import cases_of
from rafm_kernels.testing.problems import MODELS as PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_kernels import Backend


def backend_checks(
    models: Sequence[str] = MODELS, optimizers: Sequence[str] = OPTIMIZERS
) -> list[Check]:
    """List the checks of a backend that computes some models and optimizers.

    Of what it does not compute, it is checked that the backend says so: `train` and
    `scores` raise NotImplementedError with a sentence that names it.

    Parameters
    ----------
    models, optimizers : what the backend computes; all when left out

    Returns
    -------
    list of Check                      call each with the backend; `str` names it

    Raises
    ------
    ValueError                         for a name that is no model or optimizer
    """
    for given, known in ((models, MODELS), (optimizers, OPTIMIZERS)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"unknown {unknown[0]!r}; choose among {', '.join(known)}")
    functions = [
        value
        for module in (score_checks, step_checks, edge_checks)
        for name, value in vars(module).items()
        if name.startswith("check_")
    ]
    cases = [case for function in functions for case in cases_of(function)]
    return [
        *(one for one in cases if _is_claimed(one, models, optimizers)),
        *refusals.refusals(models, optimizers),
    ]


def check_backend(
    backend: Backend,
    models: Sequence[str] = MODELS,
    optimizers: Sequence[str] = OPTIMIZERS,
) -> None:
    """Run all checks of a backend.

    Parameters
    ----------
    backend : a module, or an object, with the functions of `rafm_kernels.Backend`
    models, optimizers : as in `backend_checks`

    Raises
    ------
    AssertionError                     with a line for each check that failed
    """
    failed = []
    found = backend_checks(models, optimizers)
    for check in found:
        try:
            check(backend)
        except Exception as error:  # whatever an author's code raises is a finding
            failed.append(f"{check}: {type(error).__name__}: {error}")
    if failed:
        head = f"{len(failed)} of {len(found)} checks failed"
        raise AssertionError("\n".join([head, *failed]))


def _is_claimed(case: Check, models: Sequence[str], optimizers: Sequence[str]) -> bool:
    key, name = case.arguments.get("key"), case.arguments.get("name")
    return (key is None or PROBLEMS[key][0] in models) and (
        name is None or name in optimizers
    )
