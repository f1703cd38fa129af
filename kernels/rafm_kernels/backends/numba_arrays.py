"""The arrays that compiled steps work in: a layout, settings, scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_kernels.backends.numba_cache import allocating_jit, jit
from rafm_kernels.optimizers import EPSILON

if TYPE_CHECKING:
    from rafm_kernels.parameters import Parameters

# Those from ADAM on keep moments.
GRADIENT_ONLY, SGD, ADAGRAD, ADAGRAD_ROW, ADAM, ADAM_DENSE, FTRL = range(7)


class Shape(NamedTuple):
    """A rank layout as arrays: all int64, `m` levels.

    `sizes` is |F_k| with a last 0; `tables`, `rows` and `columns` say where each level
    begins in the embeddings, among one-number-a-row arrays, and among a row's sums.
    """

    dims: np.ndarray
    sizes: np.ndarray
    tables: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


class Settings(NamedTuple):
    """An optimizer and a model's choices as numbers; `at_step` sets those of a step."""

    optimizer: int
    log_loss: bool
    joint: bool
    rate: float = 0.0
    dependent_rate: float = 0.0
    l2: float = 0.0  # added to gradients
    epsilon: float = EPSILON
    steps_before: int = 0  # this call
    root_scale: float = 1.0
    l1: float = 0.0
    own_l2: float = 0.0  # used in the optimizer's own way
    beta: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0


class Kept(NamedTuple):
    """What an optimizer keeps, as in `TrainState`."""

    sums: Parameters
    moments: Parameters


class Work(NamedTuple):
    """Scratch for batches up to a size; see `make_work`."""

    sums: np.ndarray  # float[B * columns]   s_k, then slope s_k
    nexts: np.ndarray  # float[B * columns]   t_k, then what dependent factors take
    slope: np.ndarray  # float64[B]   loss'(z_m, y)
    toward: np.ndarray  # float64[B * m]   loss'(z_k, z_k+1)
    active: np.ndarray  # int32[B * m]   features of F_k in the row
    losses: np.ndarray  # float64[B * (m + 1)]   loss of z_m, and of each z_k
    place: np.ndarray  # int32[n_features]   a feature's number in the batch, or -1
    distinct: np.ndarray  # int32[n_entries]   features of the batch
    starts: np.ndarray  # int64[n_entries + 1]   where each one's rows begin
    number: np.ndarray  # int32[n_entries]   the number of each entry's feature
    rows: np.ndarray  # int64[n_entries]
    x: np.ndarray  # float[n_entries]


class Scratch(NamedTuple):
    """What one thread needs for the row or the feature at hand; see `make_scratch`."""

    ids: np.ndarray  # int64[longest row]
    x: np.ndarray  # float[longest row]
    within: np.ndarray  # int64[m + 2]   features of the row in F_k
    scores: np.ndarray  # float64[m + 1]   z_k
    g: np.ndarray  # float[D_m]   gradient of a feature


@allocating_jit
def make_scratch(shape, dtype_like, indptr):
    """Scratch for one thread over the rows of `indptr`."""
    m = len(shape.dims)
    longest = 0
    for r in range(len(indptr) - 1):
        longest = max(longest, indptr[r + 1] - indptr[r])
    return Scratch(
        np.empty(longest, np.int64),
        np.empty(longest, dtype_like.dtype),
        np.zeros(m + 2, np.int64),
        np.empty(m + 1, np.float64),
        np.empty(shape.dims[m - 1] if m else 0, dtype_like.dtype),
    )


@allocating_jit
def make_work(shape, n_features, dtype_like, n_rows, n_entries):
    """Scratch for batches of up to that many rows and entries."""
    m = len(shape.dims)
    columns = shape.columns[m]
    float_ = dtype_like.dtype
    return Work(
        np.empty(n_rows * columns, float_),
        np.empty(n_rows * columns, float_),
        np.empty(n_rows, np.float64),
        np.empty(n_rows * m, np.float64),
        np.empty(n_rows * m, np.int32),
        np.empty(n_rows * (m + 1), np.float64),
        np.full(n_features, np.int32(-1), np.int32),
        np.empty(n_entries, np.int32),
        np.empty(n_entries + 1, np.int64),
        np.empty(n_entries, np.int32),
        np.empty(n_entries, np.int64),
        np.empty(n_entries, float_),
    )


@jit
def largest_batch(indptr, batch_size):
    """Entries of the largest batch of `batch_size` consecutive rows."""
    n_rows = len(indptr) - 1
    largest = 0
    for start in range(0, n_rows, batch_size):
        stop = min(start + batch_size, n_rows)
        largest = max(largest, indptr[stop] - indptr[start])
    return largest
