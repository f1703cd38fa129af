"""Rows as entries (feature, value), and features numbered by how often they occur."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_kernels import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Entries(NamedTuple):
    """Rows in CSR form, each feature at most once in a row.

    Attributes
    ----------
    indptr : int64[n_rows + 1]
    features : int[n_entries]          in the order of the columns of X
    values : float32[n_entries] | None   never 0; None where all are 1
    """

    indptr: NDArray[np.int64]
    features: NDArray[np.integer]
    values: NDArray[np.float32] | None


class Numbering(NamedTuple):
    """Ids of features, given by descending count.

    Attributes
    ----------
    ids : int32[n_features]            id of each feature
    counts : int64[n_features]         rows that have the feature, by id
    """

    ids: NDArray[np.int32]
    counts: NDArray[np.int64]


def entries_of_matrix(matrix: Any) -> Entries:
    """Take a checked dense or sparse matrix as entries; it is not changed."""
    from scipy import sparse

    csr = sparse.csr_array(matrix)
    if not csr.has_canonical_format or not csr.data.all():
        csr = csr.copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
    values = None if (csr.data == 1).all() else csr.data.astype(np.float32)
    return Entries(csr.indptr.astype(np.int64), csr.indices, values)


def number_features(features: NDArray[np.integer], n_features: int) -> Numbering:
    """Give ids by descending count; of equal counts the first column comes first."""
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
