"""Bytes that training must touch, by second, beside a triad on the same core.

`python -m benchmarks.bandwidth --ranks 8,32,128,256`: AdaGrad, steps of one row, one
thread, planted rows of 39 fields. A row reads and writes the embedding, the linear
weight and both sums of squares of each of its features. A triad (a = b + s c on arrays
larger than any cache) reads two numbers and writes one. Most of the rows' features are
frequent and near at hand, so a part of the bytes comes from caches.
"""

import argparse
import sys
import time

import numpy as np

from .peers.rows import planted_rows

TRIAD_NUMBERS = 1 << 26
_FLOAT = 4


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bandwidth")
    parser.add_argument("--ranks", default="8,32,128,256", help="with commas between")
    parser.add_argument("--n-rows", type=int, default=1_000_000)
    given = parser.parse_args()
    rows = planted_rows(given.n_rows, 1)
    triad = triad_bytes_per_s()
    sys.stdout.write(f"triad {triad / 1e9:.1f} GB/s\n")
    for rank in map(int, given.ranks.split(",")):
        speed, touched = train(rows, rank)
        share = speed * touched / triad
        sys.stdout.write(
            f"rank {rank}: {speed / 1e3:.0f} k rows/s, {touched / 1024:.1f} KiB a row, "
            f"{speed * touched / 1e9:.1f} GB/s, {share:.0%} of the triad\n"
        )


def triad(a, b, c, s):
    for i in range(len(a)):
        a[i] = b[i] + s * c[i]


def triad_bytes_per_s():
    import numba

    compiled = numba.njit(fastmath=True)(triad)
    a, b, c = (np.ones(TRIAD_NUMBERS, np.float32) for _ in range(3))
    s = np.float32(2)
    compiled(a, b, c, s)
    return 3 * a.nbytes / min(timed(compiled, a, b, c, s) for _ in range(5))


def train(rows, rank):
    """Rows a second in the fastest of three epochs, and bytes that each touches."""
    from rafm_kernels import (
        Batch,
        Optimizer,
        init_parameters,
        init_state,
        load_backend,
        make_model,
    )

    backend = load_backend("numba")
    model = make_model("fm", rows.counts, (rank,), loss="log")
    optimizer = Optimizer("adagrad", 0.05, initial_accumulator=1.0)
    state = init_state(model, optimizer, init_parameters(model, 0))
    n_rows, n_fields = rows.train.ids.shape
    indptr = np.arange(n_rows + 1, dtype=np.int64) * n_fields
    batch = Batch(indptr, rows.train.ids.ravel(), None, None, rows.train.labels)
    seconds = min(
        timed(backend.train, model, state, optimizer, batch, 1) for _ in range(3)
    )
    touched = n_fields * (rank + 1) * 2 * 2 * _FLOAT  # value and sum, read and written
    return n_rows / seconds, touched


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
