"""How many bytes training takes, told before any of them is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_kernels.model import FIELD_MODELS
from rafm_kernels.parameters import table_offsets
from rafm_kernels.state import WITH_MOMENTS, kept_sizes

if TYPE_CHECKING:
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.parameters import ParameterType

_PADDED = 16  # numbers: sums of a row begin on a cache line at each level


class TrainMemory(NamedTuple):
    """Bytes of the parameters, and of what the optimizer keeps beside them."""

    parameters: int
    optimizer: int


def memory_of(
    model: Model, optimizer: Optimizer, dtype: ParameterType = "float32"
) -> TrainMemory:
    """Count the bytes of a training state, all of whose pages are in use.

    Parameters
    ----------
    model, optimizer : what is trained, and how
    dtype : float32 or float64

    Returns
    -------
    TrainMemory
    """
    size = np.dtype(dtype).itemsize
    n_parameters = 1 + model.layout.n_features + int(table_offsets(model.layout)[-1])
    n_kept = sum(kept_sizes(model, optimizer).values())
    if optimizer.name in WITH_MOMENTS:
        n_kept += n_parameters
    return TrainMemory(n_parameters * size, n_kept * size)


def scratch_of(
    model: Model,
    batch_rows: int,
    batch_entries: int,
    dtype: ParameterType = "float32",
) -> int:
    """Estimate the bytes a compiled backend takes while it trains, parameters apart.

    Parameters
    ----------
    model : what is trained
    batch_rows, batch_entries : of the largest batch
    dtype : float32 or float64

    Returns
    -------
    int                              a place a feature, sums and coefficients a row or,
                                     for models of fields, an entry, and the transpose
    """
    size = np.dtype(dtype).itemsize
    dims = np.asarray(model.layout.table_dims, dtype=np.int64)
    columns = int((-(-dims // _PADDED) * _PADDED).sum())
    n_levels = model.layout.n_levels
    by_entry = model.name in FIELD_MODELS
    vectors = batch_entries if by_entry else 2 * batch_rows
    of_a_row = 8 + 8 * n_levels + 4 * (n_levels + model.n_fields) + 8 * (n_levels + 1)
    of_an_entry = 4 + 8 + 4 + 8 + size + (8 if by_entry else 0)
    return (
        4 * model.layout.n_features
        + vectors * columns * size
        + batch_rows * of_a_row
        + batch_entries * of_an_entry
    )
