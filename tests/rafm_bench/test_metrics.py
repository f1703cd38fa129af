"""Metrics against naive definitions, and what the words of them say."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as known

from rafm_bench.errors import Diverged
from rafm_bench.meter import Meter
from rafm_bench.metrics import Metrics, best_of, notes_on, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

SCORES = st.floats(-30, 30, width=32) | st.sampled_from([0.0, 1.0, -1.0])
ROWS = st.lists(st.tuples(SCORES, st.integers(0, 1)), min_size=1, max_size=60)
RATINGS = st.lists(
    st.tuples(st.floats(-9, 9), st.sampled_from([1.0, 2.5, 5.0])), min_size=1
)


def columns(rows: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([score for score, _ in rows], dtype=np.float64)
    return scores, np.array([label for _, label in rows], dtype=np.float32)


def measure(loss: str, *rows: np.ndarray) -> Metrics:
    meter = Meter(loss)
    meter.add(*rows)
    return meter.metrics()


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
    assert measure("log", *columns(rows))["auc"] == naive_auc(rows)


@given(ROWS)
def test_auc_does_not_change_under_a_monotone_map_or_a_permutation(
    rows: list[tuple[float, int]],
) -> None:
    scores, labels = columns(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    auc = measure("log", scores, labels)["auc"]
    assert auc == measure("log", 4 * scores, labels)["auc"]
    assert auc == measure("log", scores[order], labels[order])["auc"]


@given(ROWS)
def test_losses_of_clicks_are_means_over_rows(rows: list[tuple[float, int]]) -> None:
    probabilities = [1 / (1 + math.exp(-z)) for z, _ in rows]
    likelihoods = [1 / (1 + math.exp(-z if y else z)) for z, y in rows]
    log_loss = sum(-math.log(p) for p in likelihoods) / len(rows)
    brier = sum((1 - p) ** 2 for p in likelihoods) / len(rows)
    positives = sum(y for _, y in rows)
    got = measure("log", *columns(rows))
    assert got["log_loss"] == pytest.approx(log_loss, rel=1e-9, abs=1e-12)
    assert got["brier"] == pytest.approx(brier, rel=1e-9, abs=1e-12)
    if positives:
        ratio = sum(probabilities) / positives
        assert got["calibration"] == pytest.approx(ratio, rel=1e-9)
    else:
        assert got["calibration"] is None


def test_metrics_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    scores = np.round(generator.normal(size=5000), 2)
    labels = (generator.random(5000) < 0.3).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-scores))
    got = measure("log", scores, labels)
    assert got == {
        "log_loss": pytest.approx(known.log_loss(labels, probabilities)),
        "auc": pytest.approx(known.roc_auc_score(labels, scores)),
        "brier": pytest.approx(known.brier_score_loss(labels, probabilities)),
        "calibration": pytest.approx(probabilities.mean() / labels.mean()),
    }
    ratings = np.round(3 + generator.normal(size=5000)).astype(np.float32)
    got = measure("square", scores, ratings)
    assert got == {
        "rmse": pytest.approx(known.root_mean_squared_error(ratings, scores)),
        "square_loss": pytest.approx(known.mean_squared_error(ratings, scores)),
        "mae": pytest.approx(known.mean_absolute_error(ratings, scores)),
        "r2": pytest.approx(known.r2_score(ratings, scores)),
    }


def test_r2_of_labels_far_from_zero_loses_no_digits() -> None:
    labels = np.array([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3], np.float32)
    meter = Meter("square")
    for part in np.split(labels, 2):
        meter.add(part.astype(np.float64) + 0.5, part)
    assert meter.metrics()["r2"] == 1 - 0.25 / 1.25


def test_log_loss_of_a_sure_mistake_is_its_margin_and_does_not_overflow() -> None:
    scores = np.array([1e4, -1e4])
    labels = np.array([0, 1], dtype=np.float32)
    assert measure("log", scores, labels)["log_loss"] == 1e4


def test_what_labels_of_one_kind_leave_open_is_missing() -> None:
    scores = np.array([0.1, 0.2])
    metrics = measure("log", scores, np.zeros(2, dtype=np.float32))
    assert (metrics["auc"], metrics["calibration"]) == (None, None)
    assert notes_on(metrics, "valid") == [
        "the valid split holds labels of one class only: it has no AUC"
    ]
    assert measure("square", scores, np.ones(2, np.float32))["r2"] is None


@pytest.mark.parametrize("loss", ["log", "square"])
@given(rows=RATINGS, cuts=st.lists(st.integers(0, 9), max_size=3))
def test_meters_of_pieces_merge_to_the_bits_of_one(
    loss: str, rows: list[tuple[float, float]], cuts: list[int]
) -> None:
    scores, labels = columns(rows)
    labels = labels if loss == "square" else (labels > 2).astype(np.float32)
    starts = range(7, len(rows), 7)  # chunks of seven rows
    chunks = list(zip(np.split(scores, starts), np.split(labels, starts), strict=True))
    whole, merged = Meter(loss), Meter(loss)
    for chunk in chunks:
        whole.add(*chunk)
    bounds = [0, *sorted(min(cut, len(chunks)) for cut in cuts), len(chunks)]
    for start, stop in itertools.pairwise(bounds):
        piece = Meter(loss)
        for chunk in chunks[start:stop]:
            piece.add(*chunk)
        merged.merge(piece)
    assert merged.metrics() == whole.metrics()


def test_a_score_that_is_not_finite_is_an_error_of_the_run() -> None:
    meter, other = Meter("log"), Meter("log")
    meter.add(np.array([0.0, np.nan, np.inf]), np.ones(3, np.float32))
    other.merge(meter)
    for one in (meter, other):
        with pytest.raises(Diverged, match="2 of 3 scores of split valid are not fin"):
            one.metrics("valid")


def test_no_rows_have_no_metrics() -> None:
    with pytest.raises(ValueError, match="without rows"):
        Meter("square").metrics()


def test_the_error_of_an_auc_is_told_in_a_note_and_never_rounded_down() -> None:
    metrics: Metrics = {"log_loss": 0.5, "auc": 0.7, "auc_error": 1.049e-6}
    assert list(shown(metrics)) == ["log_loss", "auc"]
    assert notes_on(metrics, "test") == [
        "the test split is large: its AUC comes from counts of scores, and is at most "
        "1.1e-06 from the exact one"
    ]


def test_better_is_lower_higher_or_nearer_to_one() -> None:
    assert best_of("brier", [0.2, None, 0.1]) == 0.1
    assert best_of("auc", [0.2, 0.1]) == best_of("r2", [0.2, 0.1]) == 0.2
    assert best_of("calibration", [0.8, 1.1, 2.0]) == 1.1
    assert best_of("auc", [None]) is None
