"""The numbers that training changes, and how they lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rafm_kernels.layout import RankLayout
    from rafm_kernels.model import Model

Array: TypeAlias = NDArray[Any]
ParameterType = Literal["float32", "float64"]

Allocate: TypeAlias = "Callable[[str, int, DTypeLike], Array]"
"""(name, n, dtype) -> zeros[n], beginning on a cache line: where arrays come from."""

INIT_STD = 0.01  # embeddings start N(0, 0.01), as in the released program
_BLOCK = 1 << 18  # numbers drawn, then scaled, while they are in the cache
_LINE = 64  # bytes of a cache line: tables begin on one, so a row of 16 floats is one


class Parameters(NamedTuple):
    """Bias, linear weights and embeddings of a model, all of one float type.

    Attributes
    ----------
    bias : float[1]
    linear : float[n_features]       w_i
    embeddings : float[n_slots]      the tables v^(k), one after the other; `tables`
        gives each as float[|F_k|, D_k] (of other width for models that store more or
        less, see `Model`). One flat array, so that a compiled kernel
        takes any number of levels.
    """

    bias: Array
    linear: Array
    embeddings: Array


def table_offsets(layout: RankLayout) -> NDArray[np.int64]:
    """Where each level's table begins in `embeddings`, and its length: int64[m + 1]."""
    per_line = _LINE // 4
    offsets = np.zeros(layout.n_levels + 1, dtype=np.int64)
    pairs = zip(layout.table_dims, layout.features_at_rank, strict=True)
    for k, (dim, size) in enumerate(pairs):
        offsets[k + 1] = offsets[k] + -(-dim * size // per_line) * per_line
    return offsets


def parameter_sizes(layout: RankLayout) -> dict[str, int]:
    """Numbers in each array of `Parameters`, by its field."""
    embeddings = int(table_offsets(layout)[-1])
    return {"bias": 1, "linear": layout.n_features, "embeddings": embeddings}


def tables(parameters: Parameters, layout: RankLayout) -> tuple[Array, ...]:
    """Show `embeddings` level by level, each as float[|F_k|, table_dims[k - 1]]."""
    starts = table_offsets(layout)
    pairs = zip(starts, layout.table_dims, layout.features_at_rank, strict=False)
    return tuple(
        parameters.embeddings[at : at + dim * size].reshape(size, dim)
        for at, dim, size in pairs
    )


def plain_zeros(name: str, n: int, dtype: DTypeLike) -> Array:
    """Zeros in memory that is taken as it is first written to; an `Allocate`."""
    size = np.dtype(dtype).itemsize
    raw = np.zeros(n * size + _LINE, dtype=np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + n * size].view(dtype)


def zero_parameters(
    layout: RankLayout,
    dtype: DTypeLike = "float32",
    allocate: Allocate = plain_zeros,
    prefix: str = "",
) -> Parameters:
    """Parameters of the layout's shapes, all 0, each array aligned to a cache line.

    They are asked of `allocate` by the names of the fields after `prefix`.
    """
    sizes = parameter_sizes(layout)
    return Parameters(*(allocate(prefix + name, n, dtype) for name, n in sizes.items()))


def count_nonzero(parameters: Parameters) -> int:
    """Count the numbers that are not exactly 0: what a sparse model has to keep."""
    return sum(int(np.count_nonzero(array)) for array in parameters)


def init_parameters(
    model: Model,
    seed: int,
    dtype: ParameterType = "float32",
    allocate: Allocate = plain_zeros,
) -> Parameters:
    """Draw the parameters that training starts from.

    Parameters
    ----------
    model : what is to be trained
    seed : any int from 0; the same seed gives the same bits
    dtype : float32 or float64
    allocate : where the arrays come from; called with the names of `Parameters`

    Returns
    -------
    Parameters                       bias and linear 0; embeddings N(0, 0.01), but 0 for
                                     features that training never sees
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"unknown dtype {dtype!r}; choose float32 or float64")
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, got {seed}")
    layout = model.layout
    parameters = zero_parameters(layout, dtype, allocate)
    for k, table in enumerate(tables(parameters, layout)):
        # A stream a level, so that a level starts the same whatever stands below it.
        generator = np.random.default_rng([seed, k])
        trained = table[: min(layout.n_trained, len(table))].reshape(-1)
        for start in range(0, trained.size, _BLOCK):
            block = trained[start : start + _BLOCK]
            generator.standard_normal(dtype=block.dtype.type, out=block)
            block *= block.dtype.type(INIT_STD)
    return parameters


def parameter_arrays(parameters: Parameters, layout: RankLayout) -> dict[str, Array]:
    """Named arrays that hold a model's numbers, for a file: views, nothing is copied.

    Keys: `bias`, `linear`, `embeddings.1` ... `embeddings.m`.
    """
    named: dict[str, Array] = {"bias": parameters.bias, "linear": parameters.linear}
    for k, table in enumerate(tables(parameters, layout), start=1):
        named[f"embeddings.{k}"] = table
    return named


def parameters_from_arrays(
    arrays: Mapping[str, Array], layout: RankLayout
) -> Parameters:
    """Parameters from what `parameter_arrays` gave.

    Raises
    ------
    ValueError                       for a missing array, or one of another shape or
                                     type
    """
    missing = [n for n in ("bias", "linear") if n not in arrays]
    if missing:
        raise ValueError(f"array {missing[0]!r} is missing; got {sorted(arrays)}")
    dtype = arrays["linear"].dtype
    if dtype not in (np.float32, np.float64):
        raise ValueError(
            f"array 'linear' must be float32 or float64, got {dtype}; cast it to the "
            "type that all arrays are to have"
        )
    parameters = zero_parameters(layout, dtype)
    for name, target in parameter_arrays(parameters, layout).items():
        if name not in arrays:
            raise ValueError(f"array {name!r} is missing; got {sorted(arrays)}")
        if arrays[name].shape != target.shape:
            raise ValueError(
                f"array {name!r} must have shape {target.shape} for this layout, got "
                f"{arrays[name].shape}"
            )
        if arrays[name].dtype != dtype:
            raise ValueError(
                f"array {name!r} must be {dtype} as 'linear' is, got "
                f"{arrays[name].dtype}; cast it"
            )
        target[...] = arrays[name]
    return parameters
