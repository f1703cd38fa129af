"""modern-fm 1.1.2: CSR in memory, trains in float64; a fit of E epochs at a time.

Its time of E epochs is what fit(E + 1) takes over fit(1), so that copies drop out.
"""

import time

import numpy as np
import scipy.sparse
from measuring import arguments, log_loss, report
from rows import load


def main():
    import modern_fm

    given = arguments()
    rows = load(given.rows)
    n_features, n_fields = len(rows.counts), rows.train.ids.shape[1]

    def matrix(part):
        indptr = np.arange(len(part.ids) + 1, dtype=np.int32) * n_fields
        ones = np.ones(part.ids.size)
        shape = (len(part.ids), n_features)
        return scipy.sparse.csr_matrix((ones, part.ids.ravel(), indptr), shape=shape)

    train, valid, test = (matrix(part) for part in rows[:3])
    kind = modern_fm.FFMClassifier if given.model == "ffm" else modern_fm.FMClassifier
    fields = {}
    if given.model == "ffm":
        field_ids = np.zeros(n_features, np.int64)
        for part in rows[:3]:
            field_ids[part.ids] = np.arange(n_fields)
        fields = {"field_ids": field_ids}

    def fit(epochs):
        model = kind(
            max_iter=epochs, n_factors=given.rank, optimizer=given.optimizer,
            learning_rate=given.rate, l2_linear=given.l2, l2_factors=given.l2,
            batch_size=given.batch, n_jobs=given.threads, random_state=0,
            init_scale=0.01,
        )  # fmt: skip
        start = time.perf_counter()
        model.fit(train, rows.train.labels.astype(np.int64), **fields)
        return model, time.perf_counter() - start

    took, losses = [], {"valid": [], "test": []}
    for epoch in range(1, given.epochs + 1):
        model, seconds = fit(epoch)
        took.append(seconds)
        for name, x, part in zip(losses, (valid, test), rows[1:3], strict=False):
            start = time.perf_counter()
            p = model.predict_proba(x)[:, 1]
            scoring = time.perf_counter() - start
            losses[name].append(log_loss(part.labels, p))
    _, longest = fit(given.epochs + 1)
    epoch_seconds = (longest - took[0]) / given.epochs
    seconds = [epoch_seconds * (k + 1) for k in range(given.epochs)]
    report(seconds, **losses, score_rows_per_s=len(rows.test.labels) / scoring,
           n_train=len(rows.train.labels))  # fmt: skip


main()
