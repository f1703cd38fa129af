"""Metrics against naive definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rafm_bench.metrics import auc, log_loss, measure, notes_on

SCORES = st.floats(-30, 30, width=32) | st.sampled_from([0.0, 1.0, -1.0])
ROWS = st.lists(st.tuples(SCORES, st.integers(0, 1)), min_size=1, max_size=60)


def columns(
    rows: list[tuple[float, int]],
) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([score for score, _ in rows], dtype=np.float64)
    return scores, np.array([label for _, label in rows], dtype=np.float32)


def naive_auc(rows: list[tuple[float, int]]) -> float | None:
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high, positive in rows
        if positive
        for low, other in rows
        if not other
    ]
    return sum(pairs) / len(pairs) if pairs else None


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_right_order(
    rows: list[tuple[float, int]],
) -> None:
    got, expected = auc(*columns(rows)), naive_auc(rows)
    assert (got is None) == (expected is None)
    if expected is not None:
        assert got == pytest.approx(expected, abs=1e-12)


@given(ROWS)
def test_auc_does_not_change_under_a_monotone_map_or_a_permutation(
    rows: list[tuple[float, int]],
) -> None:
    scores, labels = columns(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    assert auc(scores, labels) == auc(4 * scores, labels)
    assert auc(scores, labels) == auc(scores[order], labels[order])


@given(ROWS)
def test_log_loss_is_the_mean_of_minus_log_probability(
    rows: list[tuple[float, int]],
) -> None:
    probabilities = [1 / (1 + math.exp(-z if y else z)) for z, y in rows]
    expected = sum(-math.log(p) for p in probabilities) / len(rows)
    assert log_loss(*columns(rows)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_log_loss_of_a_sure_mistake_is_its_margin_and_does_not_overflow() -> None:
    scores = np.array([1e4, -1e4])
    labels = np.array([0, 1], dtype=np.float32)
    assert log_loss(scores, labels) == 1e4


def test_one_class_has_no_auc_and_a_note_says_so() -> None:
    metrics = measure("log", np.array([0.1, 0.2]), np.ones(2, dtype=np.float32))
    assert metrics["auc"] is None
    assert notes_on(metrics, "valid") == [
        "the valid split holds labels of one class only: it has no AUC"
    ]


def test_square_loss_is_the_square_of_rmse() -> None:
    metrics = measure("square", np.array([1.0, 4.0]), np.array([2.0, 1.0], np.float32))
    assert metrics == {"rmse": math.sqrt(5), "square_loss": 5.0, "mae": 2.0}
    assert notes_on(metrics, "test") == []
