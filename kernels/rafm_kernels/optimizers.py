"""How a gradient changes a parameter: the settings of one step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, get_args

OptimizerName = Literal["sgd", "adagrad", "adagrad-row", "adam", "adam-dense", "ftrl"]
L2Scope = Literal["touched", "all"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
L2_SCOPES: tuple[str, ...] = get_args(L2Scope)
EPSILON = 1e-8  # outside the root

# Settings that only some optimizers use; for the others they must be left alone.
_USED_BY = {
    "l1": ("ftrl",),
    "beta": ("ftrl",),
    "initial_accumulator": ("adagrad", "adagrad-row"),
    "beta1": ("adam", "adam-dense"),
    "beta2": ("adam", "adam-dense"),
    "l2_scope": ("adam-dense",),
}


class Pace(NamedTuple):
    """What the number of a step makes of an optimizer's settings.

    Attributes
    ----------
    rate, dependent_rate : learning rates; Adam's are divided by 1 - beta1^t
    root_scale : 1, or Adam's 1 / sqrt(1 - beta2^t)
    """

    rate: float
    dependent_rate: float
    root_scale: float


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Settings of one mini-batch step, made from the mean gradient g of its rows.

    For every parameter v that the batch touches, with g + l2 * v for g (the bias is
    never shrunk), and t the number of this step, from 1:
    `sgd`          v -= rate * g
    `adagrad`      a += g^2;               v -= rate * g / (sqrt(a) + 1e-8)
    `adagrad-row`  a += mean(g^2) of the row; same step, one `a` for each feature and
                   level (linear weights and bias have one each, as in `adagrad`)
    `adam`         u = beta1 u + (1 - beta1) g;  a = beta2 a + (1 - beta2) g^2;
                   v -= rate * u / (1 - beta1^t) / (sqrt(a / (1 - beta2^t)) + 1e-8)
    `adam-dense`   the same for every parameter in every step, with g = 0 for those
                   that the batch does not touch: their u and a decay, and they move on
    `ftrl`         z += g - (sqrt(a + g^2) - sqrt(a)) / rate * v;  a += g^2;
                   v = 0 where |z| <= l1, else
                   v = (sign(z) l1 - z) / ((beta + sqrt(a)) / rate + l2)

    `adam` is lazy: u and a of what a batch does not touch stay as they are, while t
    counts all steps. A parameter first touched late so begins with u / sqrt(a) =
    (1 - beta1) / sqrt(1 - beta2) times the sign of g, about 3.2, instead of 1.

    `adam-dense` with `l2_scope` "all" adds l2 * v to the gradient of every embedding in
    every step and to no linear weight, as the paper's released program does.

    `ftrl` takes l1 and l2 in its own way, against the sum of all gradients so far and
    not at each step; l2 is not added to g, and the bias knows neither. Its z starts at
    -v beta / rate, so that its first proximal term, beta / (2 rate) |v - v_0|^2, is
    centred on the start v_0 instead of on 0: embeddings start at N(0, 0.01) (at 0 they
    would never move), and l1 can still make them exactly 0. An l1 above
    |v_0| beta / rate needs gradients that add up to more than the rest, or the
    parameter is 0 from its first step on.

    AdaGrad's `a` begins at `initial_accumulator`. From 0 a parameter's first step is a
    whole rate, whatever its gradient was, which throws a rare feature far off; from 1,
    as in libffm and xLearn, it is the rate times the gradient.

    A linear weight is touched by any row with its feature; an embedding of level k by a
    row that has its feature and another one of F_k, for else it is in no product. A
    feature's vectors of an FFM are one embedding: touched together, but only those for
    fields of the row get l2.

    Attributes
    ----------
    name : `sgd`, `adagrad`, `adagrad-row`, `adam`, `adam-dense` or `ftrl`
    learning_rate : rate of bias, linear weights and free factors, above 0
    dependent_learning_rate : rate of dependent factors, rho_d of Algorithm 1; None: as
        `learning_rate`
    l2 : L2 strength, lambda, from 0
    l1 : L1 strength of `ftrl`, from 0
    l2_scope : what l2 shrinks in a step, `touched` or (`adam-dense` only) `all`
    beta : of `ftrl`, above 0; larger is slower at first
    initial_accumulator : where AdaGrad's `a` begins, from 0
    beta1, beta2 : decay of Adam's means of g and g^2, above 0, below 1

    References
    ----------
    Duchi et al., JMLR 2011 (AdaGrad); Kingma and Ba, ICLR 2015 (Adam); McMahan et al.,
    KDD 2013, Algorithm 1 (FTRL-proximal; its alpha is `learning_rate`, its z starts at
    0)
    """

    name: OptimizerName = "adagrad"
    learning_rate: float = 0.05
    dependent_learning_rate: float | None = None
    l2: float = 0.0
    l1: float = 0.0
    l2_scope: L2Scope = "touched"
    beta: float = 1.0
    initial_accumulator: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999

    def __post_init__(self) -> None:
        """Check the names and the ranges, and that every setting given is used."""
        _check_known("optimizer", self.name, OPTIMIZERS)
        _check_known("l2 scope", self.l2_scope, L2_SCOPES)
        above_0 = {"learning_rate": self.learning_rate, "beta": self.beta}
        if self.dependent_learning_rate is not None:
            above_0["dependent_learning_rate"] = self.dependent_learning_rate
        for option, number in above_0.items():
            if not (number > 0 and math.isfinite(number)):
                raise ValueError(f"`{option}` must be above 0 and finite, got {number}")
        from_0 = ("l2", "l1", "initial_accumulator")
        for option, number in ((name, getattr(self, name)) for name in from_0):
            if not (number >= 0 and math.isfinite(number)):
                raise ValueError(
                    f"`{option}` must be at least 0 and finite, got {number}"
                )
        for option, number in (("beta1", self.beta1), ("beta2", self.beta2)):
            if not 0 < number < 1:
                raise ValueError(f"`{option}` must lie between 0 and 1, got {number}")
        self._check_used()

    def _check_used(self) -> None:
        for setting in fields(self):
            users = _USED_BY.get(setting.name, (self.name,))
            given = getattr(self, setting.name)
            if self.name not in users and given != setting.default:
                raise ValueError(
                    f"optimizer {self.name!r} does not use `{setting.name}`, got "
                    f"{given}; leave it out, or choose {' or '.join(users)}"
                )

    @property
    def dependent_rate(self) -> float:
        """Learning rate of dependent factors."""
        rate = self.dependent_learning_rate
        return self.learning_rate if rate is None else rate

    @property
    def gradient_l2(self) -> float:
        """What of l2 is added to gradients, as l2 * v of what a batch touches."""
        return 0.0 if self.name == "ftrl" or self.l2_scope == "all" else self.l2

    @property
    def own_l2(self) -> float:
        """What of l2 the optimizer uses in another way: see `ftrl`, and `l2_scope`."""
        return self.l2 - self.gradient_l2

    def pace(self, t: int) -> Pace:
        """Return what step number `t`, from 1, makes of the settings."""
        if self.name not in ("adam", "adam-dense"):
            return Pace(self.learning_rate, self.dependent_rate, 1.0)
        first = 1.0 - self.beta1**t
        return Pace(
            self.learning_rate / first,
            self.dependent_rate / first,
            1.0 / math.sqrt(1.0 - self.beta2**t),
        )


def _check_known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; choose one of {', '.join(known)}")
