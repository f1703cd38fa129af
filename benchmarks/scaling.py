"""How time and memory grow with one size at a time, and the slope on log-log axes.

Theory (Prop. 1 and Cor. 4): training and scoring cost D n(F) a row, so that time has
slope 1 in D and in n(F), 0 in |F|; memory has slope 1 in D and |F| once the tables are
larger than all else. `track_slope_*` fits the slope to the least times of a few turns.
"""

import os
import time

import numpy as np

from .cases import BACKENDS, make_case, new_case, uniform_rows

# No large powers of two: all rows would begin at the same few places of the cache.
RANKS = [8, 32, 120, 500, 2_000]
WIDE_RANKS = [64, 200, 640, 2_000, 6_400]
WIDE_LENGTHS = [4, 13, 40, 126, 400]
WIDE_FEATURES = [4_096, 12_800, 40_960, 128_000, 409_600]
THEORY = {"rank": 1, "entries": 1, "features": 0}
ROW_LENGTHS = [4, 16, 64, 256]
N_FEATURES = [4_096, 32_768, 262_144]
BATCH_SIZES = [1, 16, 256, 4_096]
THREADS = [1, 2, 4]
TURNS = 7  # of cases that are timed in turns; the least time counts


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

    params = [THREADS, [8, 32, 120]]
    param_names = ["threads", "D"]

    def setup_cache(self):
        return uniform_rows(8_192, 32_768, 32)

    def setup(self, rows, n_threads, rank):
        self.case = make_case(
            rows, "fm", [rank], backend="numba-parallel", batch_size=1_024,
            n_threads=n_threads,
        )  # fmt: skip


class _Fits:
    params = [["train row by row", "train batches of 256", "score"], BACKENDS]
    param_names = ["what", "backend"]
    timeout = 900

    def setup_cache(self):
        return {
            "rank": uniform_rows(2_048, 128, 32),
            "entries": {n: uniform_rows(131_072 // n, 4_096, n) for n in WIDE_LENGTHS},
            "features": {n: uniform_rows(2_048, n, 32) for n in WIDE_FEATURES},
        }


class Slopes(_Fits):
    """Exponents fitted over two decades; THEORY has what they should be.

    Training row by row comes near 1 in D, from 64 on, and in n(F): arithmetic rules.
    In n(F), batches of 256 come out below: the longer the rows, the more often a
    feature recurs in a batch, which makes but one step of it; in D too, as a batch is
    put in order whatever the rank. Scores have fewer operations a number, so that what
    an entry or a row costs besides weighs more. Two threads wait for each other at
    every batch. In |F|, exponents lie above 0: caches hold less and less of the tables.
    """

    unit = "exponent"

    def track_slope_in_rank(self, rows, what, backend):
        return slope_in_rank(rows, what, backend)

    def track_slope_in_entries(self, rows, what, backend):
        return slope_in_entries(rows, what, backend)

    def track_slope_in_features(self, rows, what, backend):
        return slope_in_features(rows, what, backend)


class Departures(_Fits):
    """1 + |exponent - theory|: two commits compare by it, as smaller is better."""

    unit = "1 + |exponent - theory|"

    def track_in_rank(self, rows, what, backend):
        return _departure(slope_in_rank(rows, what, backend), THEORY["rank"])

    def track_in_entries(self, rows, what, backend):
        return _departure(slope_in_entries(rows, what, backend), THEORY["entries"])

    def track_in_features(self, rows, what, backend):
        return _departure(slope_in_features(rows, what, backend), THEORY["features"])


class SlopesOfTurns:
    """Exponents in how the same rows are taken: batch size, threads; D = 32 and 128.

    By theory a row costs the same in batches of any size, and threads divide the time.
    """

    unit = "exponent"
    timeout = 900

    def setup_cache(self):
        return uniform_rows(8_192, 32_768, 32)

    def track_slope_in_batch_size(self, rows):
        cases = {
            size: make_case(rows, "fm", [32], batch_size=size)
            for size in BATCH_SIZES[1:]
        }
        return _fitted(cases, "train")

    def track_slope_in_threads(self, rows):
        """Over no more threads than there are cores; NaN where there is one."""
        n_cores = len(os.sched_getaffinity(0))
        cases = {
            n: make_case(
                rows, "fm", [128], backend="numba-parallel", batch_size=1_024,
                n_threads=n,
            )
            for n in THREADS if n <= n_cores
        }  # fmt: skip
        return _fitted(cases, "train") if n_cores > 1 else float("nan")


class Stored:
    """Exponents of what is stored, two levels (D/4, D) and (|F|, |F|/4), AdaGrad.

    By Prop. 1 exactly 1 for the embeddings. Bytes are those of all arrays of the state,
    linear weights and their sums included, which keeps them below 1 in D.
    """

    unit = "exponent"
    params = [["D", "|F|"]]
    param_names = ["size"]

    def setup(self, size):
        sizes = {d: (d, 512) for d in WIDE_RANKS}
        if size == "|F|":
            sizes = {n: (32, n) for n in WIDE_FEATURES}
        self.cases = {key: _two_levels(d, n) for key, (d, n) in sizes.items()}

    def track_slope_of_embeddings(self, size):
        return _slope({k: c.embedding_numbers() for k, c in self.cases.items()})

    def track_slope_of_state_bytes(self, size):
        return _slope({k: c.state_bytes() for k, c in self.cases.items()})


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
        ours, theirs = least_seconds([rafm, fm], what)
        return ours / theirs / ((128 + 512 / 4) / 512)


def slope_in_rank(rows, what, backend, turns=TURNS):
    """At |F| = 128: the tables stay in the cache."""
    cases = {d: _fm(rows["rank"], d, what, backend) for d in WIDE_RANKS}
    return _fitted(cases, what.split()[0], turns)


def slope_in_entries(rows, what, backend, turns=TURNS):
    """At |F| = 4,096 and D = 64."""
    cases = {n: _fm(one, 64, what, backend) for n, one in rows["entries"].items()}
    return _fitted(cases, what.split()[0], turns)


def slope_in_features(rows, what, backend, turns=TURNS):
    """At D = 32."""
    cases = {n: _fm(one, 32, what, backend) for n, one in rows["features"].items()}
    return _fitted(cases, what.split()[0], turns)


def _departure(slope, theory):
    return 1 + abs(slope - theory)


def _fm(rows, rank, what, backend):
    size = 1 if what == "train row by row" else 256
    return make_case(rows, "fm", [rank], backend=backend, batch_size=size)


def _two_levels(rank, n_features):
    rows = uniform_rows(2, n_features, 2)
    dims, sizes = [rank // 4, rank], [n_features, n_features // 4]
    return new_case(rows, "rafm", dims, sizes=sizes)


def _fitted(cases, what, turns=TURNS):
    """Fit the exponent of a row's seconds to cases {size: case}."""
    seconds = least_seconds(list(cases.values()), what, turns)
    return _slope(
        {
            size: least / case.batch.n_rows
            for (size, case), least in zip(cases.items(), seconds, strict=True)
        }
    )


def _slope(values):
    """Fit log value over log size to {size: value}."""
    sizes = np.log(list(values))
    return float(np.polyfit(sizes, np.log(list(values.values())), 1)[0])


def least_seconds(cases, what, turns=TURNS):
    """Time cases in turns; the least seconds of each.

    Where all work in one thread these are seconds of the processor, so that what other
    programs take of it does not count.
    """
    alone = all(case.n_threads == 1 for case in cases)
    clock = time.process_time if alone else time.perf_counter
    least = [float("inf")] * len(cases)
    for _ in range(turns):
        for i, case in enumerate(cases):
            started = clock()
            getattr(case, what)()
            least[i] = min(least[i], clock() - started)
    return least
