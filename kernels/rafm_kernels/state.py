"""What training keeps from step to step, and its way to a file and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_kernels.parameters import (
    Array,
    Parameters,
    parameter_arrays,
    parameters_from_arrays,
    tables,
    zero_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer

_WITH_MOMENTS = ("adam", "adam-dense", "ftrl")


class TrainState(NamedTuple):
    """All that one training step reads and changes.

    Attributes
    ----------
    parameters : the model's numbers
    sums : `a` of `Optimizer`: sums, or for Adam means, of squared gradients, shaped as
        the parameters; for `adagrad-row` its embeddings hold one number for each
        feature and level, level after level; for `sgd` all three are empty
    moments : Adam's `u` or FTRL's `z`, shaped as the parameters; else all are empty.
        `adam-dense` keeps beta1 u and beta2 a, as the next step takes them
    step : int64[1]                  steps made so far
    """

    parameters: Parameters
    sums: Parameters
    moments: Parameters
    step: NDArray[np.int64]


def init_state(
    model: Model, optimizer: Optimizer, parameters: Parameters
) -> TrainState:
    """State before the first step; it holds `parameters` itself, not a copy."""
    dtype = parameters.linear.dtype
    sums, moments = nothing(dtype), nothing(dtype)
    if optimizer.name != "sgd":
        sums = zero_parameters(model.layout, dtype)
    if optimizer.name == "adagrad-row":
        n_rows = sum(model.layout.features_at_rank)
        sums = sums._replace(embeddings=np.zeros(n_rows, dtype))
    for array in sums:
        array[...] = optimizer.initial_accumulator
    if optimizer.name in _WITH_MOMENTS:
        moments = zero_parameters(model.layout, dtype)
    if optimizer.name == "ftrl":
        _centre_on_start(model, optimizer, parameters, moments)
    return TrainState(parameters, sums, moments, np.zeros(1, dtype=np.int64))


def row_offsets(model: Model) -> NDArray[np.int64]:
    """Where each level begins among one-number-a-row arrays: int64[m + 1]."""
    sizes = np.asarray(model.layout.features_at_rank, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def state_arrays(state: TrainState, model: Model) -> dict[str, Array]:
    """Named arrays that hold a state, for a file; see `parameter_arrays`."""
    named = parameter_arrays(state.parameters, model.layout)
    for kept in ("sums", "moments"):
        parts: Parameters = getattr(state, kept)
        named.update({f"{kept}.{name}": v for name, v in parts._asdict().items()})
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


def nothing(dtype: np.dtype) -> Parameters:
    """Parameters without a number: what an optimizer keeps that keeps none."""
    return Parameters(*(np.zeros(0, dtype) for _ in Parameters._fields))


def _centre_on_start(
    model: Model, optimizer: Optimizer, start: Parameters, z: Parameters
) -> None:
    """Set FTRL's z = -v_0 beta / rate, with each parameter's own rate."""
    free = -optimizer.beta / optimizer.learning_rate
    dependent = -optimizer.beta / optimizer.dependent_rate
    z.bias[...] = start.bias * free
    z.linear[...] = start.linear * free
    both = tables(start, model.layout), tables(z, model.layout)
    for table, target, cut in zip(*both, model.dependents, strict=True):
        target[:cut] = table[:cut] * dependent
        target[cut:] = table[cut:] * free
