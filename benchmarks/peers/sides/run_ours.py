"""Our side: kernels on rows in memory."""

import time

import numpy as np
from measuring import arguments, log_loss, report
from rows import load

from rafm_kernels import (
    Batch,
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_model,
)
from rafm_kernels.losses import probability


def batch_of(part):
    n_rows, n_fields = part.ids.shape
    indptr = np.arange(n_rows + 1, dtype=np.int64) * n_fields
    fields = np.tile(np.arange(n_fields, dtype=np.int32), n_rows)
    return Batch(indptr, part.ids.ravel(), None, fields, part.labels)


def main():
    given = arguments()
    rows = load(given.rows)
    backend = load_backend("numba-parallel" if given.threads > 1 else "numba")
    ranks = () if given.model == "lr" else (given.rank,)
    n_fields = rows.train.ids.shape[1] if given.model == "ffm" else None
    model = make_model(given.model, rows.counts, ranks, loss="log", n_fields=n_fields)
    optimizer = Optimizer(
        given.optimizer,
        given.rate,
        l2=given.l2,
        initial_accumulator=given.initial_accumulator,
    )
    parameters = init_parameters(model, 0)
    state = init_state(model, optimizer, parameters)
    train, valid, test = (batch_of(part) for part in rows[:3])
    first = batch_of(type(rows.train)(rows.train.ids[:1], rows.train.labels[:1]))
    warm = init_state(model, optimizer, init_parameters(model, 0))
    backend.train(model, warm, optimizer, first, given.batch, given.threads)
    backend.scores(model, parameters, first, given.threads)
    del warm
    seconds, losses = [], {"valid": [], "test": []}
    total = 0.0
    for _ in range(given.epochs):
        start = time.perf_counter()
        backend.train(model, state, optimizer, train, given.batch, given.threads)
        total += time.perf_counter() - start
        seconds.append(total)
        for name, part in (("valid", valid), ("test", test)):
            start = time.perf_counter()
            z = backend.scores(model, parameters, part, given.threads)
            took = time.perf_counter() - start
            losses[name].append(log_loss(part.labels, probability(z)))
    report(seconds, **losses, score_rows_per_s=len(test.labels) / took,
           n_train=len(train.labels))  # fmt: skip


main()
