"""How a gradient changes a parameter: settings, and the numbers they keep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from rafm_kernels.parameters import (
    Array,
    Parameters,
    parameter_arrays,
    parameters_from_arrays,
    zero_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rafm_kernels.model import Model

OptimizerName = Literal["sgd", "adagrad", "adagrad-row"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
EPSILON = 1e-8  # outside the root


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Settings of one mini-batch step, made from the mean gradient g of its rows.

    For every parameter that the batch touches, with g + l2 * v for g (the bias is never
    shrunk):
    `sgd`          v -= rate * g
    `adagrad`      a += g^2;               v -= rate * g / (sqrt(a) + 1e-8)
    `adagrad-row`  a += mean(g^2) of the row; same step, one `a` for each feature and
                   level (linear weights and bias have one each, as in `adagrad`)

    A linear weight is touched by any row with its feature; an embedding of level k by a
    row that has its feature and another one of F_k, for else it is in no product.

    Attributes
    ----------
    name : `sgd`, `adagrad` or `adagrad-row`
    learning_rate : rate of bias, linear weights and free factors, above 0
    dependent_learning_rate : rate of dependent factors, rho_d of Algorithm 1; None: as
        `learning_rate`
    l2 : L2 strength, lambda, from 0
    """

    name: OptimizerName = "adagrad"
    learning_rate: float = 0.05
    dependent_learning_rate: float | None = None
    l2: float = 0.0

    def __post_init__(self) -> None:
        """Check the name and the ranges."""
        if self.name not in OPTIMIZERS:
            raise ValueError(
                f"unknown optimizer {self.name!r}; choose one of "
                f"{', '.join(OPTIMIZERS)}"
            )
        rates = {"learning_rate": self.learning_rate}
        if self.dependent_learning_rate is not None:
            rates["dependent_learning_rate"] = self.dependent_learning_rate
        for option, rate in rates.items():
            if not (rate > 0 and math.isfinite(rate)):
                raise ValueError(f"`{option}` must be above 0 and finite, got {rate}")
        if not (self.l2 >= 0 and math.isfinite(self.l2)):
            raise ValueError(f"`l2` must be at least 0 and finite, got {self.l2}")

    @property
    def dependent_rate(self) -> float:
        """Learning rate of dependent factors."""
        rate = self.dependent_learning_rate
        return self.learning_rate if rate is None else rate


class TrainState(NamedTuple):
    """All that one training step reads and changes.

    Attributes
    ----------
    parameters : the model's numbers
    sums : sums of squared gradients, shaped as the parameters; for `adagrad-row` its
        embeddings hold one number for each feature and level, level after level; for
        `sgd` all three are empty
    step : int64[1]                  steps made so far
    """

    parameters: Parameters
    sums: Parameters
    step: NDArray[np.int64]


def init_state(
    model: Model, optimizer: Optimizer, parameters: Parameters
) -> TrainState:
    """State before the first step; it holds `parameters` itself, not a copy."""
    sums = zero_parameters(model.layout, parameters.linear.dtype)
    if optimizer.name == "adagrad-row":
        n_rows = sum(model.layout.features_at_rank)
        sums = sums._replace(embeddings=np.zeros(n_rows, parameters.linear.dtype))
    elif optimizer.name == "sgd":
        sums = Parameters(*(array[:0].copy() for array in sums))
    return TrainState(parameters, sums, np.zeros(1, dtype=np.int64))


def row_offsets(model: Model) -> NDArray[np.int64]:
    """Where each level begins among one-number-a-row arrays: int64[m + 1]."""
    sizes = np.asarray(model.layout.features_at_rank, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def state_arrays(state: TrainState, model: Model) -> dict[str, Array]:
    """Named arrays that hold a state, for a file; see `parameter_arrays`."""
    named = parameter_arrays(state.parameters, model.layout)
    named.update({f"sums.{k}": v for k, v in state.sums._asdict().items()})
    named["step"] = state.step
    return named


def state_from_arrays(
    arrays: Mapping[str, Array], model: Model, optimizer: Optimizer
) -> TrainState:
    """State from what `state_arrays` gave.

    Raises
    ------
    ValueError                       for a missing array, or one of another shape, as
                                     when the state was made by another optimizer
    """
    parameters = parameters_from_arrays(arrays, model.layout)
    state = init_state(model, optimizer, parameters)
    for name, target in state_arrays(state, model).items():
        if name not in arrays or arrays[name].shape != target.shape:
            found = arrays[name].shape if name in arrays else "none"
            raise ValueError(
                f"array {name!r} must have shape {target.shape} for optimizer "
                f"{optimizer.name!r}, got {found}"
            )
        target[...] = arrays[name]
    return state
