from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rafm_datasets.order import hash_indices, permutation, stream_key

seeds = st.integers(-(2**70), 2**70)


def test_hash_is_splitmix64() -> None:
    # The first outputs of the reference program with state 1234567.
    got = hash_indices(1234567, np.arange(3))
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert got.tolist() == expected


@given(seeds, st.lists(st.integers(0, 2**62), max_size=20))
def test_hash_of_an_index_does_not_depend_on_its_neighbours(
    seed: int, indices: list[int]
) -> None:
    key = stream_key(seed, "test")
    together = hash_indices(key, np.array(indices, np.int64))
    alone = [int(hash_indices(key, np.array([i], np.int64))[0]) for i in indices]
    assert together.tolist() == alone


@given(seeds, st.integers(0, 300))
def test_permutation_holds_each_index_once(seed: int, n: int) -> None:
    drawn = permutation(stream_key(seed, "p"), n)
    assert sorted(drawn.tolist()) == list(range(n))


def test_permutations_of_other_keys_differ() -> None:
    drawn = {tuple(permutation(stream_key(0, "p", i), 50).tolist()) for i in range(100)}
    assert len(drawn) == 100


def test_permutation_is_uniform_over_places() -> None:
    table = np.zeros((5, 5))
    for i in range(4000):
        table[np.arange(5), permutation(stream_key(i, "u"), 5)] += 1
    assert np.abs(table / 4000 - 0.2).max() < 0.03
