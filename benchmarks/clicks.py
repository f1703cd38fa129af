"""Seeded click rows for the suites: one-hot fields with Zipf frequencies."""

import numpy as np

from rafm_kernels import Batch

N_FIELDS = 39


def click_rows(n_rows, n_features=200_000, seed=0):
    """Batch of one feature a field, ids by frequency; and the training counts."""
    rng = np.random.default_rng(seed)
    per_field = n_features // N_FIELDS
    weights = 1 / np.arange(1, per_field + 1) ** 1.1
    below = np.cumsum(weights / weights.sum())
    within = np.searchsorted(below, rng.random((n_rows, N_FIELDS)))
    raw = (within + np.arange(N_FIELDS) * per_field).ravel()
    counts = np.bincount(raw, minlength=per_field * N_FIELDS)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    indptr = np.arange(n_rows + 1, dtype=np.int64) * N_FIELDS
    labels = (rng.random(n_rows) < 0.25).astype(np.float32)
    return Batch(indptr, rank[raw], None, None, labels), counts[order]
