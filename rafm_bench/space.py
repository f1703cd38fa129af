"""What a search tries: options with lists or ranges of values, made into configs."""

from __future__ import annotations

import itertools
import math
from dataclasses import Field, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.fingerprint import WITHOUT_EFFECT, config_fingerprint
from rafm_bench.options import check_value
from rafm_bench.words import option_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

JUDGES = ("loss", "validation", "blocks")
"""What trials are judged by: figures of different ones do not compare."""
OPTIONS = {
    one.name: one
    for one in fields(TrainConfig)
    if one.name not in (*WITHOUT_EFFECT, *JUDGES)
}
"""The options that can be searched."""
ATTEMPTS = 100
"""Draws for each trial that is asked for, as equal ones count once."""


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from low to high, each power of ten as likely as any other."""

    low: float
    high: float
    whole: bool

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a number, to three digits so that it can be typed."""
        drawn = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        if self.whole:
            return round(drawn)
        return min(max(float(f"{drawn:.3g}"), self.low), self.high)


Space = dict[str, tuple[Any, ...] | Span]
"""Values of each option that is searched, in the order of the options."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One config of a search; `name` is that of its folder, `chosen` what differs."""

    name: str
    config: TrainConfig
    chosen: dict[str, Any]

    def __str__(self) -> str:
        """Write the choice as a person would."""
        return " ".join(f"{key}={option_text(val)}" for key, val in self.chosen.items())


def read_space(texts: Sequence[str]) -> Space:
    """Read texts such as `learning-rate=0.01,0.05`, `ranks=8:32,16:64`, `l2=1e-6..0.1`.

    Raises
    ------
    UserError                         with the text, when it is no list or range
    """
    space: Space = {}
    for text in texts:
        flag, equals, values = text.partition("=")
        name = flag.strip().removeprefix("--").replace("-", "_")
        if not equals or not values:
            raise UserError(
                f"--grid {text}: must be an option and its values, such as "
                "learning-rate=0.01,0.05 or learning-rate=0.001..0.3"
            )
        if name not in OPTIONS:
            known = ", ".join(OPTIONS).replace("_", "-")
            raise UserError(
                f"--grid {text}: {flag} cannot be searched; what can: {known}"
            )
        if name in space:
            raise UserError(f"--grid {text}: {flag} is searched twice; join the values")
        space[name] = _values(OPTIONS[name], values, f"--grid {flag}:")
    return {name: space[name] for name in OPTIONS if name in space}


def grid(space: Space, fixed: Mapping[str, Any]) -> list[Trial]:
    """Make every combination of the values, the last option changing fastest."""
    for name, values in space.items():
        if isinstance(values, Span):
            raise UserError(
                f"--grid {name.replace('_', '-')}: a range has no end of values; add "
                "--random N, or list the values"
            )
    lists = [values for values in space.values() if not isinstance(values, Span)]
    return _distinct(space, itertools.product(*lists), fixed)


def draws(space: Space, fixed: Mapping[str, Any], n: int, seed: int) -> list[Trial]:
    """Draw n different combinations; the first of more draws are the same ones.

    Fewer come back where the lists do not hold as many.
    """
    generator = np.random.default_rng(seed)
    drawn = (_draw(space, generator) for _ in range(ATTEMPTS * n))
    return _distinct(space, drawn, fixed, n)


def size_text(space: Space) -> str:
    """Say what is searched: 3 learning-rate x 2 l2."""
    return " x ".join(
        f"{name.replace('_', '-')} {values.low:g}..{values.high:g}"
        if isinstance(values, Span)
        else f"{len(values)} {name.replace('_', '-')}"
        for name, values in space.items()
    )


def _values(option: Field[Any], text: str, where: str) -> tuple[Any, ...] | Span:
    low, dots, high = text.partition("..")
    if dots:
        return _span(option, low, high, where)
    is_list = str(option.type).startswith("tuple")
    parts = [part.replace(":", ",") if is_list else part for part in text.split(",")]
    values = (check_value(option, part.strip(), where) for part in parts)
    return tuple(dict.fromkeys(values))


def _span(option: Field[Any], low: str, high: str, where: str) -> Span:
    kind = str(option.type).removesuffix(" | None")
    if kind not in ("int", "float"):
        raise UserError(f"{where} only numbers have ranges; list the values")
    ends = [check_value(option, end.strip(), where) for end in (low, high)]
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    if len(numbers) < 2 or not 0 < numbers[0] < numbers[1]:
        raise UserError(
            f"{where} a range goes from a number above 0 up to a larger one, got "
            f"{low}..{high}"
        )
    return Span(numbers[0], numbers[1], whole=kind == "int")


def _draw(space: Space, generator: np.random.Generator) -> tuple[Any, ...]:
    return tuple(
        values.draw(generator)
        if isinstance(values, Span)
        else values[generator.integers(len(values))]
        for values in space.values()
    )


def _distinct(
    space: Space,
    combinations: Iterator[tuple[Any, ...]],
    fixed: Mapping[str, Any],
    n: int | None = None,
) -> list[Trial]:
    trials: dict[str, Trial] = {}
    for combination in combinations:
        trial = _trial(dict(zip(space, combination, strict=True)), fixed)
        trials.setdefault(trial.name, trial)
        if len(trials) == n:
            break
    return list(trials.values())


def _trial(chosen: dict[str, Any], fixed: Mapping[str, Any]) -> Trial:
    try:
        config = TrainConfig(**(dict(fixed) | chosen))
    except UserError as error:
        words = Trial("", TrainConfig(), chosen)
        raise UserError(
            f"the trial {words} cannot be: {error}; search what does not go together "
            "in searches of their own"
        ) from None
    return Trial(config_fingerprint(config)[:12], config, chosen)
