"""What a call of a backend gives it: refused unless all of it can be computed with.

Compiled code reads and writes where ids, sizes and offsets say, without a look at where
an array ends. So every backend begins with one of these; they take well below 1 % of a
pass over the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_kernels.batch import check_ids, check_indptr
from rafm_kernels.fields import check_batch
from rafm_kernels.parameters import Parameters, parameter_sizes
from rafm_kernels.state import WITH_MOMENTS, kept_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rafm_kernels.batch import Batch
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.state import TrainState


def check_call(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> None:
    """See that these parameters and rows are of the model.

    Parameters
    ----------
    model, parameters, batch, n_threads : as in `Backend`

    Raises
    ------
    ValueError                   for arrays of other lengths, types or strides, ids out
                                 of 0..n_features - 1, rows that do not fit the model
                                 (`check_batch`), and `n_threads` below 1
    """
    check_at_least_1("n_threads", n_threads)
    sizes = parameter_sizes(model.layout)
    dtype = parameters.linear.dtype
    if dtype not in (np.float32, np.float64):
        raise ValueError(
            f"`parameters` must be float32 or float64, got {dtype}; make them by "
            "`init_parameters`"
        )
    mend = f"make them by `init_parameters` for this {model.name!r}"
    _check_arrays("parameters", parameters, sizes, dtype, mend)
    _check_rows(model, batch)


def check_train_call(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    batch_size: int,
    n_threads: int = 1,
) -> None:
    """See that this state is of the model and the optimizer, and as `check_call`.

    Parameters
    ----------
    model, state, optimizer, batch, batch_size, n_threads : as in `Backend.train`

    Raises
    ------
    ValueError                   as in `check_call`, for a state of another optimizer or
                                 with arrays that may not be written to, and for
                                 `batch_size` below 1
    """
    check_call(model, state.parameters, batch, n_threads)
    check_at_least_1("batch_size", batch_size)
    mend = "make the state by `init_state` with the optimizer that trains it"
    if state.optimizer not in ("", optimizer.name):
        raise ValueError(
            f"`state` was made for optimizer {state.optimizer!r}, got "
            f"{optimizer.name!r}; {mend}"
        )
    dtype = state.parameters.linear.dtype
    sizes = kept_sizes(model, optimizer)
    _check_arrays("state.sums", state.sums, sizes, dtype, mend)
    sizes = dict.fromkeys(sizes, 0)
    if optimizer.name in WITH_MOMENTS:
        sizes = parameter_sizes(model.layout)
    _check_arrays("state.moments", state.moments, sizes, dtype, mend)
    if state.step.shape != (1,):
        raise ValueError(
            f"`state.step` must hold one number, got shape {state.step.shape}; {mend}"
        )
    for array in (*state.parameters, *state.sums, *state.moments, state.step):
        if not array.flags.writeable:
            raise ValueError(
                "`state` holds an array that may not be written to; copy what was read "
                "or mapped before it is trained"
            )


def check_at_least_1(name: str, number: int) -> None:
    """Raise ValueError for a number of threads or rows below 1."""
    if number < 1:
        raise ValueError(f"`{name}` must be at least 1, got {number}")


def _check_arrays(
    owner: str,
    arrays: Parameters,
    sizes: Mapping[str, int],
    dtype: np.dtype[np.floating],
    mend: str,
) -> None:
    for name, array in zip(Parameters._fields, arrays, strict=True):
        if array.shape != (sizes[name],) or array.dtype != dtype:
            raise ValueError(
                f"`{owner}.{name}` must be {dtype}[{sizes[name]}], got "
                f"{array.dtype}{list(array.shape)}; {mend}"
            )
        if not (array.flags.c_contiguous and array.flags.aligned):
            raise ValueError(
                f"`{owner}.{name}` must lie in one piece, got strides {array.strides}; "
                "copy it"
            )


def _check_rows(model: Model, batch: Batch) -> None:
    for name, array in zip(batch._fields, batch, strict=True):
        if array is not None and array.ndim != 1:
            raise ValueError(
                f"`batch.{name}` must be one-dimensional, got shape {array.shape}"
            )
    n_entries = len(batch.ids)
    check_indptr(batch.indptr, batch.n_rows, n_entries)
    check_ids(batch.ids, batch.indptr, model.layout.n_features)
    for name, array in (("values", batch.values), ("fields", batch.fields)):
        if array is not None and len(array) != n_entries:
            raise ValueError(
                f"`batch.{name}` must have one number for each of the {n_entries} "
                f"entries, got {len(array)}"
            )
    check_batch(model, batch)
