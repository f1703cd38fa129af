"""The AUC of many rows: exact while they are kept, within its bound once counted."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rafm_bench import ranking
from rafm_bench.ranking import Ranking, bins

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 1 / ranking.BINS_OF_ONE
SCORES = st.one_of(
    st.floats(-40, 40),
    st.floats(-2 * WIDTH, 2 * WIDTH),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 0.25 * WIDTH, 0.5 * WIDTH, 1.0]),
)
ROWS = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=40)


def exact(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Fraction | None:
    p, n = scores[positive], scores[~positive]
    if not p.size * n.size:
        return None
    right, equal = np.sum(p[:, None] > n), np.sum(p[:, None] == n)
    return Fraction(2 * int(right) + int(equal), 2 * p.size * n.size)


def counted(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Ranking:
    """Rank rows by counts, however few they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "EXACT_ROWS", 0)
        made = Ranking()
        made.add(scores, positive)
    return made


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_the_true_auc_of_any_scores_lies_within_the_bound(
    rows: list[tuple[float, bool]],
) -> None:
    scores = np.array([score for score, _ in rows])
    positive = np.array([is_positive for _, is_positive in rows])
    true, got = exact(scores, positive), counted(scores, positive).auc()
    assert (got.value is None) == (true is None)
    assert got.error is not None
    if true is not None and got.value is not None:
        off = abs(Fraction(got.value) - true)
        assert off <= Fraction(got.error) + Fraction(1, 2**52)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_is_reached_when_one_bin_holds_all_pairs_in_one_order(
    sign: int,
) -> None:
    positive = np.arange(40) % 2 > 0
    scores = np.where(positive, 0.5, 0.5 - sign * 0.25) * WIDTH
    assert counted(scores, positive).auc() == (0.5, 0.5)
    assert exact(scores, positive) == (1 if sign > 0 else 0)


def test_scores_in_bins_of_their_own_have_no_error() -> None:
    scores, positive = np.arange(-9.0, 9.0), np.arange(18) % 3 > 0
    got = counted(scores, positive).auc()
    assert got == (float(exact(scores, positive) or 0), 0.0)


def test_many_rows_are_off_by_less_than_they_say() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(20_000) < 0.2
    scores = generator.normal(size=20_000) + positive
    got, true = counted(scores, positive).auc(), exact(scores, positive)
    assert got.value is not None
    assert got.error is not None
    assert true is not None
    assert abs(got.value - float(true)) <= got.error < 1e-5


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_higher_score_is_never_in_a_lower_bin(scores: list[float]) -> None:
    placed = bins(np.sort(np.array(scores)))
    assert np.all(np.diff(placed) >= 0)
    assert placed.min() >= 0
    assert placed.max() < ranking.N_BINS


@settings(deadline=None, max_examples=20)
@given(ROWS, st.integers(0, 40), st.booleans())
def test_pieces_of_either_kind_merge_to_what_one_ranking_holds(
    rows: list[tuple[float, bool]], cut: int, swap: bool
) -> None:
    scores = np.array([score for score, _ in rows])
    positive = np.array([is_positive for _, is_positive in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "EXACT_ROWS", 16)
        whole, first, second = Ranking(), Ranking(), Ranking()
        for start in range(0, len(rows), 5):
            whole.add(scores[start : start + 5], positive[start : start + 5])
        first.add(scores[:cut], positive[:cut])
        second.add(scores[cut:], positive[cut:])
        pair = (second, first) if swap else (first, second)
        pair[0].merge(pickle.loads(pickle.dumps(pair[1])))
        assert pair[0].auc() == whole.auc()


def test_a_pickled_ranking_is_as_large_as_its_rows() -> None:
    made = Ranking()
    made.add(np.arange(100.0), np.arange(100) % 2 > 0)
    assert len(pickle.dumps(made)) < 2000


def test_counts_of_billions_of_rows_do_not_overflow() -> None:
    made = counted(np.array([1.0, 2.0]), np.array([False, True]))
    assert made._counts is not None
    made._counts *= 2**38
    assert made.auc() == (1.0, 0.0)
    made._counts[:] = np.flip(made._counts, axis=0)
    assert made.auc() == (0.0, 0.0)
