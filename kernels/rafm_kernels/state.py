"""What training keeps from step to step, and its way to a file and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_kernels.parameters import (
    Allocate,
    Array,
    Parameters,
    parameter_arrays,
    parameter_sizes,
    parameters_from_arrays,
    plain_zeros,
    tables,
    zero_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer

_OPTIMIZER = "optimizer"  # among the arrays of a state: the name of the one it is of
WITH_MOMENTS = ("adam", "adam-dense", "ftrl")


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
    optimizer : name of the one that `sums` and `moments` are of; "" where it is unknown
    """

    parameters: Parameters
    sums: Parameters
    moments: Parameters
    step: NDArray[np.int64]
    optimizer: str = ""


def init_state(
    model: Model,
    optimizer: Optimizer,
    parameters: Parameters,
    allocate: Allocate = plain_zeros,
) -> TrainState:
    """State before the first step; it holds `parameters` itself, not a copy.

    What the optimizer keeps is asked of `allocate` by names such as `sums.linear`.
    """
    layout, dtype = model.layout, parameters.linear.dtype
    sums, moments = nothing(dtype), nothing(dtype)
    if optimizer.name != "sgd":
        sizes = kept_sizes(model, optimizer)
        sums = Parameters(*(allocate(f"sums.{n}", k, dtype) for n, k in sizes.items()))
    if optimizer.initial_accumulator:
        for array in sums:
            array[...] = optimizer.initial_accumulator
    if optimizer.name in WITH_MOMENTS:
        moments = zero_parameters(layout, dtype, allocate, "moments.")
    if optimizer.name == "ftrl":
        _centre_on_start(model, optimizer, parameters, moments)
    step = np.zeros(1, dtype=np.int64)
    return TrainState(parameters, sums, moments, step, optimizer.name)


def row_offsets(model: Model) -> NDArray[np.int64]:
    """Where each level begins among one-number-a-row arrays: int64[m + 1]."""
    sizes = np.asarray(model.layout.features_at_rank, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def state_arrays(state: TrainState, model: Model) -> dict[str, Array]:
    """Named arrays that hold a state, for a file; see `parameter_arrays`.

    Besides `sums.*`, `moments.*` and `step`, `optimizer` is the name, in ASCII.
    """
    named = parameter_arrays(state.parameters, model.layout)
    for kept in ("sums", "moments"):
        parts: Parameters = getattr(state, kept)
        named.update({f"{kept}.{name}": v for name, v in parts._asdict().items()})
    named["step"] = state.step
    if state.optimizer:
        named[_OPTIMIZER] = np.array(list(state.optimizer.encode()), np.uint8)
    return named


def state_from_arrays(
    arrays: Mapping[str, Array], model: Model, optimizer: Optimizer
) -> TrainState:
    """State from what `state_arrays` gave.

    Raises
    ------
    ValueError                       for a missing array, one of another shape or type,
                                     and for a state that another optimizer made; arrays
                                     without `optimizer`, as they once were, are taken
                                     where shapes fit
    """
    parameters = parameters_from_arrays(arrays, model.layout)
    state = init_state(model, optimizer, parameters)
    fill_state(state, model, optimizer, arrays)
    return state


def fill_state(
    state: TrainState,
    model: Model,
    optimizer: Optimizer,
    arrays: Mapping[str, Array],
) -> None:
    """Copy what `state_arrays` gave into the arrays of a state.

    Each array is asked for once, and let go before the next: a mapping that reads them
    from a file needs memory for the largest alone.

    Raises
    ------
    ValueError                       as `state_from_arrays`
    """
    written = arrays.get(_OPTIMIZER)
    if written is not None and bytes(written) != optimizer.name.encode():
        raise ValueError(
            f"the state was made by optimizer {bytes(written).decode()!r}, got "
            f"{optimizer.name!r}; read it for the one that made it"
        )
    for name, target in state_arrays(state._replace(optimizer=""), model).items():
        array = arrays.get(name)
        if array is None or array.shape != target.shape:
            raise ValueError(
                f"array {name!r} must have shape {target.shape} for optimizer "
                f"{optimizer.name!r}, got {'none' if array is None else array.shape}"
            )
        if array.dtype != target.dtype:
            raise ValueError(
                f"array {name!r} must be {target.dtype}, got {array.dtype}; cast it"
            )
        target[...] = array


def kept_sizes(model: Model, optimizer: Optimizer) -> dict[str, int]:
    """Numbers in each array of `sums`, by the fields of `Parameters`; none for sgd."""
    if optimizer.name == "sgd":
        return dict.fromkeys(Parameters._fields, 0)
    sizes = parameter_sizes(model.layout)
    if optimizer.name == "adagrad-row":
        sizes["embeddings"] = sum(model.layout.features_at_rank)
    return sizes


def nothing(dtype: np.dtype) -> Parameters:
    """Parameters without a number: what an optimizer keeps that keeps none."""
    return Parameters(*(np.zeros(0, dtype) for _ in Parameters._fields))


def _centre_on_start(
    model: Model, optimizer: Optimizer, start: Parameters, z: Parameters
) -> None:
    """Set FTRL's z = -v_0 beta / rate, with each parameter's own rate."""
    free = -optimizer.beta / optimizer.learning_rate
    dependent = -optimizer.beta / optimizer.dependent_rate
    np.multiply(start.bias, free, out=z.bias)
    np.multiply(start.linear, free, out=z.linear)
    both = tables(start, model.layout), tables(z, model.layout)
    for table, target, cut in zip(*both, model.dependents, strict=True):
        np.multiply(table[:cut], dependent, out=target[:cut])
        np.multiply(table[cut:], free, out=target[cut:])
