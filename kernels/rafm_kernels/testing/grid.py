"""A check for many problems: one case for each of them, told apart by name."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from rafm_kernels import OPTIMIZERS
from rafm_kernels.testing.problems import LOSSES, MODELS, VARIANTS

# One key of each model, with as few levels as tell them apart.
EACH = ("lr", "fm", "rafm-joint", "difacto", "mrma", "ffm")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rafm_kernels import Backend


class Check(NamedTuple):
    """One check of a backend, with the arguments of its problem."""

    function: Callable[..., None]
    arguments: dict[str, Any]

    def __call__(self, backend: Backend) -> None:
        """Check a backend; AssertionError tells what differs."""
        self.function(backend, **self.arguments)

    def __str__(self) -> str:
        """Say what is checked: the promise, then the problem in brackets."""
        promise = self.function.__name__.removeprefix("check_")
        problem = "-".join(str(value) for value in self.arguments.values())
        return f"{promise}[{problem}]" if problem else promise


def over(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Any], Any]:
    """Make a decorator that gives a check's argument, or arguments, these values."""
    if isinstance(names, str):
        names, values = (names,), [(value,) for value in values]
    cases = [dict(zip(names, value, strict=True)) for value in values]

    def decorate(function: Any) -> Any:
        function.over = [cases, *getattr(function, "over", [])]
        return function

    return decorate


def cases_of(function: Any) -> Iterable[Check]:
    """Give a check for each combination of the values that `over` named."""
    for parts in itertools.product(*function.over):
        yield Check(function, {k: v for part in parts for k, v in part.items()})


all_models = over("key", MODELS)
each_model = over("key", EACH)
each_model_and_optimizer = over(
    ("key", "name"), list(itertools.product(EACH, OPTIMIZERS))
)
# Steps of one row; batches that several threads share, and several lots of rows.
all_ways = over(("batch_size", "n_threads"), itertools.product((1, 64), (1, 3)))
all_losses = over("loss", LOSSES)
all_optimizers = over("name", OPTIMIZERS)
# What an optimizer does to a number does not depend on how many levels there are:
# variants of a model are stepped by two.
all_models_and_optimizers = over(
    ("key", "name"),
    [
        (key, name)
        for key in MODELS
        for name in (("sgd", "adagrad") if key in VARIANTS else OPTIMIZERS)
    ],
)
