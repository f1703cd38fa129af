"""Quality after fixed training, so that a faster kernel that learns worse shows.

Rows, order and seed are fixed: the same code gives the same figures to the last bit.
"""

import numpy as np

from .cases import new_case, planted_ratings, planted_rows

MODELS = {
    "lr": ("lr", ()),
    "fm 8": ("fm", (8,)),
    "rafm 4,16": ("rafm", (4, 16)),
    "difacto 4,16": ("difacto", (4, 16)),
    "ffm 4": ("ffm", (4,)),
}
OF_RATINGS = {
    "fm 8": ("fm", (8,)),
    "rafm 4,16": ("rafm", (4, 16)),
    "mrma 4,16": ("mrma", (4, 16)),
}
N_TRAIN, N_TEST, N_PASSES = 40_000, 20_000, 3


class Quality:
    """Of 20,000 held-out rows, after three passes over 40,000; smaller is better."""

    params = [list(MODELS), ["sgd", "adagrad", "adagrad-row", "adam", "ftrl"], [1, 256]]
    param_names = ["model", "optimizer", "batch size"]
    timeout = 300

    def setup_cache(self):
        rows = planted_rows(N_TRAIN + N_TEST, n_features=4_000, n_fields=12)
        return _cut(rows, 0, N_TRAIN), _cut(rows, N_TRAIN, N_TRAIN + N_TEST)

    def setup(self, rows, key, optimizer, batch_size):
        name, dims = MODELS[key]
        train, test = rows
        self.scores = _scores_of_held(
            train, test, name, dims, optimizer=optimizer, batch_size=batch_size
        )
        self.labels = test.labels

    def track_log_loss(self, rows, key, optimizer, batch_size):
        signed = np.where(self.labels > 0, -self.scores, self.scores)
        return float(np.mean(np.logaddexp(0.0, signed)))

    def track_one_minus_auc(self, rows, key, optimizer, batch_size):
        order = np.argsort(self.scores)
        positive = self.labels[order] > 0
        below = np.cumsum(~positive)[positive].sum()
        return 1 - float(below / (positive.sum() * (~positive).sum()))


class Ratings:
    """As `Quality`, of ratings with the square loss, batches of 16: the noise is 1."""

    params = [list(OF_RATINGS), ["sgd", "adagrad", "adam"]]
    param_names = ["model", "optimizer"]
    timeout = 300

    def setup_cache(self):
        rows = planted_ratings(N_TRAIN + N_TEST, n_features=1_000)
        return _cut(rows, 0, N_TRAIN), _cut(rows, N_TRAIN, N_TRAIN + N_TEST)

    def setup(self, rows, key, optimizer):
        name, dims = OF_RATINGS[key]
        train, test = rows
        scores = _scores_of_held(
            train, test, name, dims, optimizer=optimizer, batch_size=16, loss="square"
        )
        self.errors = scores - test.labels

    def track_rmse(self, rows, key, optimizer):
        return float(np.sqrt(np.mean(self.errors**2)))


def _scores_of_held(train, test, name, dims, **choices):
    case = new_case(train, name, dims, **choices)
    for _ in range(N_PASSES):
        case.train()
    fields = test.fields if case.batch.fields is not None else None
    held = type(case.batch)(test.indptr, test.ids, None, fields, test.labels)
    return case._replace(batch=held).score()


def _cut(rows, first, last):
    begin, end = rows.indptr[first], rows.indptr[last]
    return rows._replace(
        indptr=rows.indptr[first : last + 1] - begin,
        ids=rows.ids[begin:end],
        fields=rows.fields[begin:end],
        labels=rows.labels[first:last],
    )
