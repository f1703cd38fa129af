"""Rows as entries (feature, value), and features numbered by how often they occur."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.errors import UserError
from rafm_kernels import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Entries(NamedTuple):
    """Rows in CSR form, each feature at most once in a row.

    Attributes
    ----------
    indptr : int64[n_rows + 1]
    features : int[n_entries]          in the order of the columns of X
    values : float32[n_entries] | None   never 0; None where all are 1. A number that is
        nearer to 0 than any but 0 of float32 is taken as 0, and has no entry
    """

    indptr: NDArray[np.int64]
    features: NDArray[np.integer]
    values: NDArray[np.float32] | None


class Numbering(NamedTuple):
    """Ids of features, given by descending count.

    Attributes
    ----------
    ids : int32[n_features]            id of each feature
    counts : int64[n_features]         training rows that have the feature, by id
    """

    ids: NDArray[np.int32]
    counts: NDArray[np.int64]


def entries_of_matrix(matrix: Any, names: Sequence[str] | None = None) -> Entries:
    """Take a checked dense or sparse matrix as entries; it is not changed.

    Raises
    ------
    UserError                          for a number beyond float32, with its row and
                                       column, by name where there are `names`
    """
    from scipy import sparse

    csr = sparse.csr_array(matrix)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    indptr, features, values = csr.indptr, csr.indices, as_float32(csr.data)
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        row = int(np.searchsorted(indptr, at, side="right")) - 1
        column = features[at] if names is None else repr(names[features[at]])
        raise UserError(f"column {column} of X {too_large(csr.data[at], row)}")
    present = values != 0
    if not present.all():
        before = np.concatenate([[0], np.cumsum(present)])
        indptr, features, values = before[indptr], features[present], values[present]
    return Entries(
        indptr.astype(np.int64), features, None if (values == 1).all() else values
    )


def as_float32(numbers: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round to float32, without a word on what becomes infinite: the caller looks."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32, copy=False)


def too_large(number: float, row: int) -> str:
    """Say that a number is beyond float32, as the end of a sentence."""
    return (
        f"holds {number:g} in row {row}, and the largest number of float32 is "
        f"{np.finfo(np.float32).max:.1e}; scale it"
    )


def number_features(
    entries: Entries, n_features: int, rows: NDArray[np.integer] | None
) -> Numbering:
    """Give ids by descending count in `rows`, or in all of them.

    Of equal counts the first column comes first.
    """
    features = entries.features
    if rows is not None:
        sizes = np.diff(entries.indptr)
        counted = np.zeros(len(sizes), bool)
        counted[rows] = True
        features = features[np.repeat(counted, sizes)]
    counts = np.bincount(features, minlength=n_features).astype(np.int64)
    by_count = np.argsort(-counts, kind="stable")
    ids = np.empty(n_features, np.int32)
    ids[by_count] = np.arange(n_features, dtype=np.int32)
    return Numbering(ids, counts[by_count])


def as_batch(
    entries: Entries, ids: NDArray[np.int32], labels: NDArray[np.floating] | None
) -> Batch:
    """Take entries as a batch; rows that are only scored have labels 0."""
    indptr, features, values = entries
    if labels is None:
        labels = np.zeros(len(indptr) - 1)
    return Batch(indptr, ids[features], values, None, labels.astype(np.float32))


def take_rows(batch: Batch, rows: NDArray[np.integer]) -> Batch:
    """Copy some rows of a batch, in the order asked for."""
    sizes = np.diff(batch.indptr)[rows]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    shift = np.repeat(batch.indptr[rows] - indptr[:-1], sizes)
    places = np.arange(indptr[-1]) + shift
    values = None if batch.values is None else batch.values[places]
    return Batch(indptr, batch.ids[places], values, None, batch.labels[rows])
