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

    `dims` is what a feature stores at each level; `sizes` is |F_k| with a last 0, and
    `dependents` how many of them depend on the next level; `tables`, `rows` and
    `columns` say where each level begins in the embeddings, among one-number-a-row
    arrays, and among a row's sums (or an entry's vectors). What is None leaves out
    compiled code, see `numba_run`.
    """

    dims: np.ndarray
    sizes: np.ndarray
    dependents: np.ndarray
    tables: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    by_entry: bool | None  # not None: features need a vector for each entry
    n_fields: int | None  # not None: the vectors of FFM


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

    sums: np.ndarray  # float[B * columns]   s_k, then slope s_k; or entries' vectors
    nexts: np.ndarray  # float[B * columns]   t_k, then what dependent factors take
    slope: np.ndarray  # float64[B]   loss'(z_m, y)
    toward: np.ndarray  # float64[B * m]   loss'(z_k, z_k+1)
    active: np.ndarray  # int32[B * m]   features of F_k in the row; or of each field
    losses: np.ndarray  # float64[B * (m + 1)]   loss of z_m, and of each z_k
    place: np.ndarray  # int32[n_features]   a feature's number in the batch, or -1
    distinct: np.ndarray  # int32[n_entries]   features of the batch
    starts: np.ndarray  # int64[n_entries + 1]   where each one's rows begin
    number: np.ndarray  # int32[n_entries]   the number of each entry's feature
    rows: np.ndarray  # int64[n_entries]
    x: np.ndarray  # float[n_entries]
    entries: np.ndarray  # int64[n_entries]   where vectors are kept by entry


class Scratch(NamedTuple):
    """What one thread needs for the row or the feature at hand; see `make_scratch`."""

    ids: np.ndarray  # int64[longest row]
    x: np.ndarray  # float[longest row]
    slopes: np.ndarray  # float[longest row]   slope of the loss by x_e's product
    within: np.ndarray  # int64[m + 2]   features of the row in F_k
    scores: np.ndarray  # float64[m + 1]   z_k
    g: np.ndarray  # float[widest table]   gradient of a feature
    mixed: np.ndarray  # float64[m]   mixture of the levels up to k
    at: np.ndarray  # int64[longest row]   where an entry's row of the table begins
    place: np.ndarray  # int64[longest row]   where in a row its field's vector lies
    touched: np.ndarray  # int8[n_fields]   whether L2 shrinks that field's vector


@jit
def _either(switch, if_none, if_not):
    if switch is None:
        return if_none
    return if_not


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
        np.empty(longest, dtype_like.dtype),
        np.zeros(m + 2, np.int64),
        np.empty(m + 1, np.float64),
        np.empty(shape.dims.max() if m else 0, dtype_like.dtype),
        np.empty(m, np.float64),
        np.empty(longest, np.int64),
        np.empty(longest, np.int64),
        np.empty(_either(shape.n_fields, 0, shape.n_fields), np.int8),
    )


@allocating_jit
def make_work(shape, n_features, dtype_like, n_rows, n_entries):
    """Scratch for batches of up to that many rows and entries."""
    m = len(shape.dims)
    columns = shape.columns[m]
    float_ = dtype_like.dtype
    n_vectors = _either(shape.by_entry, n_rows, n_entries)
    counted = m + _either(shape.n_fields, 0, shape.n_fields)
    return Work(
        np.empty(n_vectors * columns, float_),
        np.empty(_either(shape.by_entry, n_rows, 0) * columns, float_),
        np.empty(n_rows, np.float64),
        np.empty(n_rows * m, np.float64),
        np.empty(n_rows * counted, np.int32),
        np.empty(n_rows * (m + 1), np.float64),
        np.full(n_features, np.int32(-1), np.int32),
        np.empty(n_entries, np.int32),
        np.empty(n_entries + 1, np.int64),
        np.empty(n_entries, np.int32),
        np.empty(n_entries, np.int64),
        np.empty(n_entries, float_),
        np.empty(_either(shape.by_entry, 0, n_entries), np.int64),
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
