"""How time and memory grow with one size at a time, and the slope on log-log axes.

Theory (Prop. 1 and Cor. 4): training and scoring cost D n(F) a row, so that time has
slope 1 in D and in n(F), 0 in |F|; memory has slope 1 in D and |F| once the tables are
larger than all else. `track_slope_*` fits the slope to the least times of a few turns.
"""

import time

import numpy as np

from .cases import BACKENDS, make_case, uniform_rows

RANKS = [8, 32, 128, 512, 2048]
# No powers of two: their rows would begin at the same places of the cache.
WIDE_RANKS = [64, 200, 640, 2_000, 6_400]
ROW_LENGTHS = [4, 16, 64, 256]
N_FEATURES = [4_096, 32_768, 262_144]
BATCH_SIZES = [1, 16, 256, 4_096]
THREADS = [1, 2, 4]


class _Scaling:
    number = 1
    timeout = 600

    def time_score(self, *_):
        self.case.score()

    def time_train(self, *_):
        self.case.train()

    def peakmem_train(self, *_):
        self.case.train()


class Rank(_Scaling):
    """In D, at |F| = 512: the tables stay in the cache, arithmetic dominates."""

    params = [RANKS, BACKENDS]
    param_names = ["D", "backend"]

    def setup_cache(self):
        return uniform_rows(2_048, 512, 32)

    def setup(self, rows, rank, backend):
        self.case = make_case(rows, "fm", [rank], backend=backend)


class RankOfManyFeatures(_Scaling):
    """In D, at |F| = 262,144: memory far away dominates."""

    params = [RANKS[:-1], BACKENDS]
    param_names = ["D", "backend"]

    def setup_cache(self):
        return uniform_rows(2_048, 262_144, 32)

    def setup(self, rows, rank, backend):
        self.case = make_case(rows, "fm", [rank], backend=backend)


class RowLength(_Scaling):
    """In n(F), entries of a row, at |F| = 4,096 and D = 64."""

    params = [ROW_LENGTHS, BACKENDS]
    param_names = ["entries of a row", "backend"]

    def setup_cache(self):
        return {n: uniform_rows(2_048, 4_096, n) for n in ROW_LENGTHS}

    def setup(self, rows, n, backend):
        self.case = make_case(rows[n], "fm", [64], backend=backend)


class Features(_Scaling):
    """In |F|, at D = 32: no change of time but for caches."""

    params = [N_FEATURES, BACKENDS]
    param_names = ["|F|", "backend"]

    def setup_cache(self):
        return {n: uniform_rows(2_048, n, 32) for n in N_FEATURES}

    def setup(self, rows, n, backend):
        self.case = make_case(rows[n], "fm", [32], backend=backend)


class BatchSize(_Scaling):
    """In rows of a batch, for the same rows: D = 32, |F| = 32,768."""

    params = [BATCH_SIZES, BACKENDS]
    param_names = ["batch size", "backend"]

    def setup_cache(self):
        return uniform_rows(8_192, 32_768, 32)

    def setup(self, rows, size, backend):
        self.case = make_case(rows, "fm", [32], backend=backend, batch_size=size)


class Threads(_Scaling):
    """In threads, for batches of 1,024 rows: slope -1 up to the number of cores."""

    params = [THREADS, [8, 32, 128]]
    param_names = ["threads", "D"]

    def setup_cache(self):
        return uniform_rows(8_192, 32_768, 32)

    def setup(self, rows, n_threads, rank):
        self.case = make_case(
            rows, "fm", [rank], backend="numba-parallel", batch_size=1_024,
            n_threads=n_threads,
        )  # fmt: skip


class Slopes:
    """Exponents fitted over two decades; by theory 1 for each of these.

    In n(F), batches of 256 come out below 1: the longer the rows, the more often a
    feature recurs in a batch, which makes but one step of it. In D, from 64 on: below,
    what every entry costs whatever its rank (its linear weight, its place in the batch)
    is more than the arithmetic. Two threads have to wait for each other at every batch.
    """

    params = [["train row by row", "train batches of 256", "score"], BACKENDS]
    param_names = ["what", "backend"]
    timeout = 900

    def setup_cache(self):
        entries = {
            n: uniform_rows(131_072 // n, 4_096, n) for n in (4, 13, 40, 126, 400)
        }
        return uniform_rows(2_048, 128, 32), entries

    def track_slope_in_rank(self, rows, what, backend):
        return _slope({d: (rows[0], d) for d in WIDE_RANKS}, what, backend)

    def track_slope_in_entries(self, rows, what, backend):
        return _slope({n: (found, 64) for n, found in rows[1].items()}, what, backend)


class Predicted:
    """Time of RaFM over FM's, over the ratio that sum_k D_k n(F_k) predicts; 1 at best.

    Features alone among their row's features of F_k are passed over by the kernels, so
    a little less than 1 is no mistake.
    """

    params = [["train", "score"], BACKENDS]
    param_names = ["what", "backend"]
    timeout = 600

    def setup_cache(self):
        return uniform_rows(1_024, 4_096, 64)

    def track_measured_over_predicted(self, rows, what, backend):
        n = len(rows.counts)
        fm = make_case(rows, "fm", [512], backend=backend)
        dims, sizes = [128, 512], [n, n // 4]
        rafm = make_case(rows, "rafm", dims, sizes=sizes, backend=backend)
        ours, theirs = _least_seconds([rafm, fm], what)
        return ours / theirs / ((128 + 512 / 4) / 512)


def _slope(cases, what, backend):
    """Fit log seconds of a row over log size to cases {size: (rows, D)}."""
    size = 1 if what == "train row by row" else 256
    made = [
        make_case(rows, "fm", [d], backend=backend, batch_size=size)
        for rows, d in cases.values()
    ]
    n_rows = [case.batch.n_rows for case in made]
    seconds = np.array(_least_seconds(made, what.split()[0])) / n_rows
    return float(np.polyfit(np.log(list(cases)), np.log(seconds), 1)[0])


def _least_seconds(cases, what, turns=7):
    """Time cases in turns; the least seconds of each."""
    least = [float("inf")] * len(cases)
    for _ in range(turns):
        for i, case in enumerate(cases):
            started = time.perf_counter()
            getattr(case, what)()
            least[i] = min(least[i], time.perf_counter() - started)
    return least
