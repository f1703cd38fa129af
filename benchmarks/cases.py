"""What the suites time: a model with its state, and rows to train or score it on.

The package is imported when a case is made, so that a suite can be listed at a commit
that has not all of it.
"""

from typing import Any, NamedTuple

import numpy as np

# As parameters, so that every figure says with how many threads it was measured.
BACKENDS = ["numba", "numba-parallel, 2 threads"]
RATES = {"adam": 0.002, "adagrad-row": 0.1}


class Rows(NamedTuple):
    """A CSR matrix with labels, as `rafm_kernels.Batch`, and how often each id is seen.

    Plain arrays: what `setup_cache` keeps is read again at every commit.
    """

    indptr: np.ndarray
    ids: np.ndarray
    fields: np.ndarray
    labels: np.ndarray
    counts: np.ndarray


class Case(NamedTuple):
    """All that one call of a backend takes."""

    backend: Any
    model: Any
    state: Any
    optimizer: Any
    batch: Any
    batch_size: int
    n_threads: int

    def train(self):
        """Make one pass over the rows; the state changes, its cost does not."""
        return self.backend.train(
            self.model, self.state, self.optimizer, self.batch, self.batch_size,
            self.n_threads,
        )  # fmt: skip

    def score(self):
        """Score the rows."""
        return self.backend.scores(
            self.model, self.state.parameters, self.batch, self.n_threads
        )

    def embedding_numbers(self):
        """Count the numbers of all tables, without what aligns them."""
        from rafm_kernels import tables

        layout = self.model.layout
        return sum(table.size for table in tables(self.state.parameters, layout))

    def state_bytes(self):
        """Sum the bytes of the arrays that the state consists of."""
        parts = (self.state.parameters, self.state.sums, self.state.moments)
        return sum(array.nbytes for part in parts for array in part)


def make_case(rows, name, dims, **choices):
    """Make a case and pass over all its rows once, as `new_case` takes the arguments.

    So everything is compiled, and memory that is taken when it is first written to,
    as sums of squared gradients are, is taken before the clock runs.
    """
    case = new_case(rows, name, dims, **choices)
    case.train()
    case.score()
    return case


def new_case(
    rows, name, dims, *, sizes=None, backend="numba", optimizer="adagrad",
    batch_size=256, n_threads=1, loss="log",
):  # fmt: skip
    """Make a case that nothing has run on yet.

    `sizes` are the |F_k|, for a layout that no counts give; else Eq. 17 decides.
    `backend` may say the threads, as BACKENDS do; `n_threads` is for those that do not.
    """
    from rafm_kernels import (
        Batch,
        Model,
        Optimizer,
        RankLayout,
        init_parameters,
        init_state,
        load_backend,
        make_model,
    )

    if sizes is None:
        n_fields = int(rows.fields.max()) + 1 if name in ("ffm", "mrma") else None
        model = make_model(name, rows.counts, dims, loss=loss, n_fields=n_fields)
    else:
        n = len(rows.counts)
        model = Model(name, RankLayout(tuple(dims), tuple(sizes), n, n), loss, "joint")
    chosen = Optimizer(optimizer, RATES.get(optimizer, 0.05))
    state = init_state(model, chosen, init_parameters(model, 0))
    fields = rows.fields if name in ("ffm", "mrma") else None
    batch = Batch(rows.indptr, rows.ids, None, fields, rows.labels)
    backend, _, threads = backend.partition(", ")
    n_threads = int(threads.split()[0]) if threads else n_threads
    found = load_backend(backend)
    return Case(found, model, state, chosen, batch, batch_size, n_threads)


def uniform_rows(n_rows, n_features, row_length, seed=0):
    """Rows whose ids are spread evenly over all ids, so that n(F_k) follows |F_k|.

    Field f has the ids f, f + row_length, f + 2 row_length, ...: a row has one of each,
    and no id twice.
    """
    rng = np.random.default_rng(seed)
    per_field = n_features // row_length
    within = rng.integers(per_field, size=(n_rows, row_length))
    ids = (within * row_length + np.arange(row_length)).astype(np.int32)
    n = per_field * row_length
    rows = _as_rows(ids, n, rng)  # equal counts: ids need no order
    return rows._replace(counts=np.full(n, max(1, ids.size // n)))


def zipf_rows(n_rows, n_features=200_000, n_fields=39, seed=0):
    """Rows of one feature a field with Zipf frequencies, ids by frequency: clicks."""
    rng = np.random.default_rng(seed)
    per_field = n_features // n_fields
    weights = 1 / np.arange(1, per_field + 1) ** 1.1
    below = np.cumsum(weights / weights.sum())
    within = np.searchsorted(below[:-1], rng.random((n_rows, n_fields)))
    raw = within + np.arange(n_fields) * per_field
    counts = np.bincount(raw.ravel(), minlength=per_field * n_fields)
    rank = np.empty(len(counts), np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    return _as_rows(rank[raw], len(counts), rng)


def planted_rows(n_rows, seed=0, **shape):
    """As `zipf_rows`, with labels that a rank-4 FM of the same ids explains."""
    rows = zipf_rows(n_rows, seed=seed, **shape)
    rng = np.random.default_rng([seed, 1])
    z = _planted_scores(rows, rng)
    z -= np.quantile(z, 0.75)
    labels = rng.random(n_rows) < 1 / (1 + np.exp(-z))
    return rows._replace(labels=labels.astype(np.float32))


def planted_ratings(n_rows, seed=0, **shape):
    """As `zipf_rows` of two fields; labels are an FM's scores and as much noise."""
    rows = zipf_rows(n_rows, seed=seed, n_fields=2, **shape)
    rng = np.random.default_rng([seed, 1])
    z = _planted_scores(rows, rng)
    labels = z / z.std() + rng.normal(0, 1, n_rows)
    return rows._replace(labels=labels.astype(np.float32))


def _planted_scores(rows, rng):
    vectors = rng.normal(0, 0.35, (len(rows.counts), 4)).astype(np.float32)
    weights = rng.normal(0, 0.3, len(rows.counts)).astype(np.float32)
    ids = rows.ids.reshape(len(rows.labels), -1)
    sums = vectors[ids].sum(axis=1)
    squares = (vectors[ids] ** 2).sum(axis=(1, 2))
    return weights[ids].sum(axis=1) + 0.5 * ((sums**2).sum(axis=1) - squares)


def _as_rows(ids, n_features, rng):
    n_rows, row_length = ids.shape
    counts = np.bincount(ids.ravel(), minlength=n_features)
    return Rows(
        indptr=np.arange(n_rows + 1, dtype=np.int64) * row_length,
        ids=np.ascontiguousarray(ids.ravel(), np.int32),
        fields=np.tile(np.arange(row_length, dtype=np.int32), n_rows),
        labels=(rng.random(n_rows) < 0.25).astype(np.float32),
        counts=counts,
    )
