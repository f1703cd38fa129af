"""The rows that every side trains on: planted ones, or those of a prepared folder."""

import numpy as np

from .sides.rows import Part, Rows

N_FIELDS, PLANTED_RANK, ZIPF = 39, 4, 1.1
_AT_ONCE = 50_000


def save(path, rows):
    arrays = {f"{name}_ids": getattr(rows, name).ids for name in rows._fields[:3]}
    arrays |= {f"{name}_y": getattr(rows, name).labels for name in rows._fields[:3]}
    np.savez(path, counts=rows.counts, **arrays)


def prepared_rows(folder):
    """Rows of prepared data with one feature a field, train rows in a mixed order."""
    from rafm_datasets import open_prepared, stream

    data = open_prepared(folder)

    def part(split, seed=None):
        read = list(stream(data, split, 1 << 20, seed=seed))
        ids = np.concatenate([rows.ids for rows in read])
        labels = np.concatenate([rows.labels for rows in read])
        return Part(ids.reshape(len(labels), len(data.fields)), labels)

    counts = data.train_counts()
    return Rows(part("train", seed=0), part("valid"), part("test"), counts)


def planted_rows(n_train, n_held, seed=20190):
    """Zipf-distributed ids of 39 fields, labels of a planted machine of rank 4.

    Fields have 10 to 300,000 values, a quarter of the labels is 1: 1.26 M ids in all.
    """
    rng = np.random.default_rng(seed)
    sizes = np.unique(np.round(np.logspace(1, np.log10(300_000), N_FIELDS)).astype(int))
    sizes = rng.permutation(sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = np.empty((n_train + 2 * n_held, len(sizes)), np.int32)
    for field, size in enumerate(sizes):
        below = np.cumsum(np.arange(1, size + 1, dtype=np.float64) ** -ZIPF)
        drawn = np.searchsorted(below / below[-1], rng.random(len(ids)))
        shuffled = rng.permutation(size)
        ids[:, field] = offsets[field] + shuffled[np.minimum(drawn, size - 1)]
    labels = _planted_labels(ids, int(offsets[-1]), rng)
    counts = np.bincount(ids[:n_train].ravel(), minlength=offsets[-1])
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    cuts = [n_train, n_train + n_held]
    parts = zip(np.split(rank[ids], cuts), np.split(labels, cuts), strict=True)
    return Rows(*(Part(*part) for part in parts), counts[order])


def _planted_labels(ids, n_features, rng):
    weights = rng.normal(0, 0.22, n_features).astype(np.float32)
    vectors = rng.normal(0, 1, (n_features, PLANTED_RANK)).astype(np.float32)
    pairs, linear = np.empty(len(ids), np.float32), np.empty(len(ids), np.float32)
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        v = vectors[part]
        pairs[start : start + _AT_ONCE] = 0.5 * (
            (v.sum(axis=1) ** 2).sum(axis=1) - (v**2).sum(axis=(1, 2))
        )
        linear[start : start + _AT_ONCE] = weights[part].sum(axis=1)
    margin = pairs / pairs.std() + linear
    low, high = -20.0, 20.0  # a bias under which a quarter of the labels is 1
    for _ in range(50):
        middle = (low + high) / 2
        share = (1 / (1 + np.exp(-margin - middle))).mean()
        low, high = (middle, high) if share < 0.25 else (low, middle)
    return (rng.random(len(ids)) < 1 / (1 + np.exp(-margin - low))).astype(np.float32)
