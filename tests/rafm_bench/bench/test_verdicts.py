"""Verdicts over samples of two commits: what is proven, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_bench.bench.verdicts import judge, never_varies, student_quantile


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
    ("factor", "expected"),
    [
        (1.3, "slower"),
        (0.7, "faster"),
        (1.05, "slightly slower"),
        (0.95, "slightly faster"),
    ],
)
def test_a_proven_change_is_slight_up_to_the_threshold(factor, expected):
    rng = np.random.default_rng(2)
    found = [judge(noisy(rng, factor, pairs=16), 10, 1.1) for _ in range(20)]
    assert {one.verdict for one in found} == {expected}
    assert all(one.low <= one.ratio <= one.high for one in found)
    assert np.mean([one.ratio for one in found]) == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (0.4, "no difference shown"),
        (0.4004, "slightly slower"),
        (0.404, "slower"),
        (0.3996, "slightly faster"),
        (0.396, "faster"),
    ],
)
def test_a_loss_that_never_varies_counts_from_two_thousandths_on(head, expected):
    assert judge([([0.4], [head])] * 3, 100, 1.1).verdict == expected


def test_a_value_varies_when_one_sample_differs():
    assert never_varies([([0.4], [0.5, 0.5]), ([0.4], [0.5])])
    assert not never_varies([([0.4], [0.5]), ([0.4], [0.51])])


def peaks(rng, base, more, jitter=0.01, pairs=8):
    sides = rng.normal(1, jitter, (pairs, 2)) * base + [0, more]
    return [([one], [other]) for one, other in sides.tolist()]


@pytest.mark.parametrize(
    ("base", "jitter"), [(300e6, 0.01), (2e9, 0.002)], ids=["a third", "a twentieth"]
)
def test_a_hundred_megabytes_more_are_found_among_a_hundred_peaks(base, jitter):
    rng = np.random.default_rng(3)
    for sign, verdict in ((1, "slower"), (-1, "faster")):
        for _ in range(50):
            pairs = peaks(rng, base, sign * 1e8, jitter)
            assert judge(pairs, 100, 1.1, is_memory=True).verdict == verdict


def test_a_few_megabytes_more_of_a_large_peak_are_no_more_than_slight():
    pairs = peaks(np.random.default_rng(4), 2e9, 3e7, 0.002)
    assert judge(pairs, 100, 1.1, is_memory=True).verdict != "slower"


def test_memory_that_never_varies_has_the_thresholds_of_memory():
    found = judge([([2e9], [2.02e9])] * 8, 100, 1.1, is_memory=True)
    assert found.verdict == "slightly slower"


def test_the_interval_is_wider_when_more_benchmarks_are_judged():
    pairs = noisy(np.random.default_rng(3))
    one, many = judge(pairs, 1, 1.1), judge(pairs, 1000, 1.1)
    assert many.low < one.low
    assert one.high < many.high


@pytest.mark.parametrize("pairs", [3, 8, 16])
def test_the_interval_covers_the_true_ratio(pairs):
    rng = np.random.default_rng(4)
    judged = [judge(noisy(rng, 1.2, pairs), 1, 1.1) for _ in range(200)]
    covered = np.mean([one.low < 1.2 < one.high for one in judged])
    assert covered >= 0.93


@pytest.mark.parametrize(
    ("p", "freedom", "expected"),
    [
        (0.975, 1, 12.706204736174694),
        (0.99975, 2, 44.70458729293313),
        (0.9995, 3, 12.923978636687961),
        (0.975, 7, 2.364624251592784),
        (0.99975, 15, 4.4166128303510455),
    ],
)
def test_quantiles_of_student_are_those_of_tables(p, freedom, expected):
    assert student_quantile(p, freedom) == pytest.approx(expected, rel=1e-8)


def test_pairs_that_agree_exactly_have_an_interval_of_one_point():
    found = judge([([2.0], [3.0])] * 4, 100, 1.1)
    assert (found.low, found.ratio, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_a_few_pairs_of_two_kinds_do_not_hide_a_change():
    pairs = [([300.0], [400.0])] * 6 + [([300.0], [400.1]), ([303.0], [400.0])]
    assert judge(pairs, 100, 1.1).verdict == "slower"
