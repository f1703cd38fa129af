"""Verdicts over samples of two commits: what is proven, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_bench.bench.verdicts import judge


def noisy(rng, factor=1.0, pairs=8, samples=8):
    """Samples of two commits: each process has a level of its own, and outliers."""

    def side(level):
        times = level * rng.normal(1, 0.02, samples)
        times[rng.integers(samples)] *= 1 + rng.exponential(1.0)
        return times.tolist()

    levels = rng.normal(1, 0.02, (pairs, 2))
    return [(side(base), side(factor * head)) for base, head in levels]


def test_no_change_is_never_taken_for_one_among_a_hundred_benchmarks():
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert judge(noisy(rng), 100, 1.1).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.3, "slower"), (0.7, "faster"), (1.05, None)]
)
def test_a_change_is_proven_when_it_is_above_the_threshold(factor, expected):
    rng = np.random.default_rng(2)
    found = [judge(noisy(rng, factor), 100, 1.1) for _ in range(20)]
    assert {one.verdict for one in found} == {expected or "no difference shown"}
    assert all(one.low <= one.ratio <= one.high for one in found)
    assert np.mean([one.ratio for one in found]) == pytest.approx(factor, rel=0.03)


def test_the_interval_is_wider_when_more_benchmarks_are_judged():
    pairs = noisy(np.random.default_rng(3))
    one, many = judge(pairs, 1, 1.1), judge(pairs, 1000, 1.1)
    assert many.low < one.low
    assert one.high < many.high


def test_the_interval_covers_the_true_ratio():
    rng = np.random.default_rng(4)
    judged = [judge(noisy(rng, 1.2, pairs=16), 1, 1.1) for _ in range(200)]
    covered = np.mean([one.low < 1.2 < one.high for one in judged])
    assert 0.9 <= covered <= 0.99


def test_pairs_that_agree_exactly_have_an_interval_of_one_point():
    found = judge([([2.0], [3.0])] * 4, 100, 1.1)
    assert (found.low, found.ratio, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_a_few_pairs_of_two_kinds_do_not_hide_a_change():
    pairs = [([300.0], [400.0])] * 3 + [([300.0], [400.1]), ([303.0], [400.0])]
    assert judge(pairs, 100, 1.1).verdict == "slower"
