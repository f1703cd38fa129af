"""Table 2 of the RaFM paper: the time of rank settings S1..S4 beside FM of rank 512.

`python -m benchmarks.rank_settings --prepared DIR` (movielens-tag), or without DIR on
generated rows of ML-Tag's size. Each setting's time over FM's, all taking turns, beside
what the theory predicts: sum_k D_k n(F_k) / (D n(F)), and beside the same sum without
the features that are alone among their row's features of F_k: these are in no pair, and
the kernels pass them over.
"""

import argparse
import time

import numpy as np

SETTINGS = {
    "FM": (512,),
    "S1": (32, 512),
    "S2": (32, 128, 512),
    "S3": (32, 64, 128, 256, 512),
    "S4": tuple(range(32, 513, 32)),
}
PAPER = {"FM": 1.0, "S1": 0.43, "S2": 0.17, "S3": 0.24, "S4": 1.35}
# Users, items and tags of ML-Tag: 90,445 features in 3 fields, 2 M rows.
N_ROWS, FIELD_SIZES, ZIPF = 2_006_859, (17_045, 23_743, 49_657), 1.0


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rank_settings")
    parser.add_argument("--prepared", metavar="DIR")
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--optimizer", default="adagrad")
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    batch, counts = (
        _prepared(given.prepared) if given.prepared else generated_clicks(given.rows)
    )
    cases = {name: _Case(dims, batch, counts, given) for name, dims in SETTINGS.items()}
    for _ in range(given.turns):
        for case in cases.values():
            case.turn()
    _show(cases)


class _Case:
    """One setting: its model, and the seconds of each turn."""

    def __init__(self, dims, batch, counts, given):
        from rafm_kernels import load_backend, make_model

        self.batch, self.given = batch, given
        self.backend = load_backend(given.backend)
        name = "fm" if len(dims) == 1 else "rafm"
        self.model = make_model(name, counts, dims, loss="log")
        layout = self.model.layout
        self.cost = layout.cost_per_row(counts, batch.n_rows)
        self.paired = sum(
            dim * _paired(batch, size)
            for dim, size in zip(dims, layout.features_at_rank, strict=True)
        )
        self.train, self.score = [], []

    def turn(self):
        from rafm_kernels import Optimizer, init_parameters, init_state

        # A new state for each turn: settings would not fit in memory side by side.
        given = self.given
        optimizer = Optimizer(given.optimizer, 0.01)
        parameters = init_parameters(self.model, 0)
        state = init_state(self.model, optimizer, parameters)
        train = (self.model, state, optimizer)
        warm = _first_rows(self.batch, 4)
        self.backend.train(*train, warm, given.batch, given.threads)
        self.backend.scores(self.model, parameters, warm, given.threads)
        start = time.perf_counter()
        self.backend.train(*train, self.batch, given.batch, given.threads)
        middle = time.perf_counter()
        self.backend.scores(self.model, parameters, self.batch, given.threads)
        self.train.append(middle - start)
        self.score.append(time.perf_counter() - middle)


def _paired(batch, size):
    """Features of a row below `size`, on average, where it has two or more."""
    within = np.add.reduceat((batch.ids < size).astype(np.int64), batch.indptr[:-1])
    return float(np.where(within > 1, within, 0).mean())


def _first_rows(batch, n):
    last = batch.indptr[n]
    return batch._replace(
        indptr=batch.indptr[: n + 1], ids=batch.ids[:last], labels=batch.labels[:n]
    )


def _prepared(folder):
    from rafm_datasets import open_prepared, stream
    from rafm_kernels import Batch

    data = open_prepared(folder)
    read = list(stream(data, "train", 1 << 20, seed=0))
    ids = np.concatenate([rows.ids for rows in read])
    labels = np.concatenate([rows.labels for rows in read])
    indptr = np.arange(len(labels) + 1, dtype=np.int64) * len(data.fields)
    return Batch(indptr, ids, None, None, labels), data.train_counts()


def generated_clicks(n_rows, seed=0):
    from rafm_kernels import Batch

    rng = np.random.default_rng(seed)
    columns, first = [], 0
    for size in FIELD_SIZES:
        below = np.cumsum(np.arange(1, size + 1, dtype=np.float64) ** -ZIPF)
        drawn = np.searchsorted(below / below[-1], rng.random(n_rows))
        columns.append(first + np.minimum(drawn, size - 1))
        first += size
    raw = np.column_stack(columns).ravel()
    counts = np.bincount(raw, minlength=first)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(first, np.int32)
    rank[order] = np.arange(first, dtype=np.int32)
    indptr = np.arange(n_rows + 1, dtype=np.int64) * len(FIELD_SIZES)
    labels = (rng.random(n_rows) < 1 / 3).astype(np.float32)
    return Batch(indptr, rank[raw], None, None, labels), counts[order]


def _show(cases):
    from rich.console import Console
    from rich.table import Table

    heads = (
        "setting",
        "parameters",
        "predicted",
        "in pairs",
        "train",
        "score",
        "paper",
    )
    table = Table(*heads, title="Times of each turn over FM's")
    fm = cases["FM"]
    for name, case in cases.items():
        times = [
            " ".join(f"{a / b:.2f}" for a, b in zip(own, whole, strict=True))
            for own, whole in ((case.train, fm.train), (case.score, fm.score))
        ]
        table.add_row(
            name, f"{case.model.layout.n_parameters:,}", f"{case.cost / fm.cost:.2f}",
            f"{case.paired / fm.paired:.2f}",
            *times, f"{PAPER[name]:.2f}",
        )  # fmt: skip
    console = Console(width=120)
    console.print(table)
    rows = fm.batch.n_rows / 1e3
    speed = " ".join(f"{rows / seconds:.0f}" for seconds in fm.train)
    console.print(f"FM 512 trains {speed} k rows/s")


if __name__ == "__main__":
    main()
