"""How claims of the RaFM paper are judged, counted and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.progress import Silent
from rafm_bench.reproduce import regimes
from rafm_bench.reproduce.block import read_block
from rafm_bench.reproduce.bound import Pair, judge_bound, limits, measure_levels
from rafm_bench.reproduce.budget import make_budget
from rafm_bench.reproduce.cells import FM_RANKS, Cell
from rafm_bench.reproduce.claims import Tally, claims_table, each_once, lead, tally
from rafm_bench.reproduce.drawings import ranks_plot
from rafm_bench.reproduce.judges import AIM, BOUND, EQUAL, better, judge_block
from rafm_bench.reproduce.method import describe, missing
from rafm_bench.reproduce.paper import LIKE, PAPER, SIZES, printed_for
from rafm_bench.reproduce.reproduce import Plan
from rafm_bench.reproduce.results import Interval, Outcome
from rafm_bench.reproduce.section import Section
from rafm_bench.reproduce.sets import SETS, Found
from rafm_bench.reproduce.shares import Share, share_above
from rafm_bench.reproduce.sparse import Point, choose, judge_sparse
from rafm_bench.reproduce.tables import block_section, printed_table
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict, beats, judge_faster
from rafm_bench.reproduce.work import Place
from rafm_bench.store import put_row
from rafm_bench.train import train
from rafm_datasets import open_prepared

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.reproduce.block import Block
    from rafm_bench.run import Run
    from rafm_datasets import PreparedData

BOUNDED = {
    "level_1_rmse": 0.95,
    "level_2_rmse": 0.91,
    "level_3_rmse": 0.90,
    "level_1_next_loss": 0.05,
    "level_2_next_loss": 0.02,
}
CLICKS = {
    **{name.replace("rmse", "log_loss"): value for name, value in BOUNDED.items()},
    "level_1_next_gap": 0.01,
    "level_2_next_gap": 0.01,
}


def row(cell: Cell, seed: int, log_loss: float, **more: Any) -> dict[str, Any]:
    """Make the row of a run of clicks."""
    return {
        "run": f"{cell.name}/{seed}",
        "cell": cell.name,
        "seed": seed,
        "budget": "small",
        "status": "done",
        "error": None,
        "loss": "log",
        "test_log_loss": log_loss,
        "test_auc": 1 - log_loss,
        "all_log_loss": log_loss,
        "valid_log_loss": log_loss,
        "best_epoch": 3,
        "epochs": 8,
        "n_parameters": 1_000,
        "train_seconds": 1.0,
        "score_seconds": 1.0,
        "learning_rate": 0.1,
        "l2": 1e-5,
        **more,
    }


def outcome_of(model: str, losses: list[float], **more: Any) -> Outcome:
    cell = Cell("frappe", model, "paper")
    rows = (row(cell, seed, loss, **more) for seed, loss in enumerate(losses, 1))
    return Outcome(cell, tuple(rows), ())


def trained(data: Path, out: Path, **options: Any) -> Run:
    config = TrainConfig(model="rafm", ranks=(1, 2, 4), epochs=1, **options)
    return train(config, open_prepared(data), out, Silent())


def test_the_last_level_is_the_prediction_and_losses_are_those_of_neighbours(
    clicks: Path, tmp_path: Path
) -> None:
    run = trained(clicks, tmp_path / "run")
    measured = measure_levels(run, open_prepared(clicks))
    assert run.result.test is not None
    assert measured["level_3_log_loss"] == run.result.test["log_loss"]
    for k in (1, 2):
        assert 0 < measured[f"level_{k}_next_gap"] < measured[f"level_{k}_next_loss"]
    assert "level_3_next_loss" not in measured


def test_the_loss_of_a_level_against_the_next_is_that_of_training() -> None:
    ratings, clicks = Pair("square"), Pair("log")
    for own, target in (([1.0, 2.0], [1.0, 4.0]), ([3.0], [3.0])):
        ratings.add(np.array(own), np.array(target))
        clicks.add(np.array(own), np.zeros(len(own)))
    assert ratings.means() == {"next_loss": pytest.approx(np.sqrt(4 / 3))}
    scores = np.array([1.0, 2.0, 3.0])
    loss = np.mean(np.log(1 + np.exp(scores)) - scores / 2)
    expected = {"next_loss": loss, "next_gap": loss - np.log(2)}
    assert clicks.means() == pytest.approx(expected)


def test_the_losses_of_levels_bound_those_of_clicks_too(
    clicks: Path, tmp_path: Path
) -> None:
    run = trained(clicks, tmp_path / "run")
    cell = Cell("frappe", "rafm-64-256", "paper")
    more = measure_levels(run, open_prepared(clicks))
    verdict = judge_bound(Outcome(cell, (row(cell, 1, 0.5, **more),), ()), "here")
    assert verdict.result == YES
    assert verdict.why.startswith("2 of 2 losses of 1 runs are below their bounds")
    assert "without the entropy of the targets" in verdict.why


def test_ratings_keep_the_bound_of_every_level(ratings: Path, tmp_path: Path) -> None:
    run = trained(ratings, tmp_path / "run", loss="square")
    found = limits(measure_levels(run, open_prepared(ratings)), "rmse", "next_loss")
    assert [k for k, _, _ in found] == [1, 2]
    assert all(loss <= bound + 1e-9 for _, loss, bound in found)


def test_the_bound_of_a_level_sums_the_losses_from_there_up() -> None:
    levels, losses, bounds = zip(*limits(BOUNDED, "rmse", "next_loss"), strict=True)
    assert (levels, losses) == ((1, 2), (0.95, 0.91))
    assert bounds == pytest.approx((0.97, 0.92))


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        ({}, YES),
        ({"level_1_log_loss": 0.98}, NO),
        ({"level_1_next_loss": None}, OPEN),
    ],
    ids=["below", "above", "not measured"],
)
def test_a_bound_is_reproduced_when_every_level_of_every_run_is_below(
    changed: dict[str, Any], result: str
) -> None:
    ours = outcome_of("rafm-64-256", [0.9], **CLICKS | changed)
    assert judge_bound(ours, "here").result == result


def test_the_bound_of_ratings_holds_for_any_model_and_is_told_alone(
    tmp_path: Path, ratings_data: PreparedData
) -> None:
    place = Place(tmp_path, make_budget("small", 2), 1)
    cells = [Cell("ml-1m", model, "clean") for model in ("fm-64", "rafm-16-64")]
    for cell in cells:
        for seed in (1, 2):
            more = {"loss": "square", "test_rmse": 0.9, **BOUNDED}
            put_row(place.store, row(cell, seed, 0.5, **more))
    found = Found(SETS["ml-1m"], SETS["ml-1m"].choices[0], ())
    block = read_block("table3", found, cells, place, {"clean": ratings_data})
    section = block_section(block, ratings_data)
    assert BOUND not in {one.kind for one in section.verdicts}
    (note,) = section.notes
    assert "B_11 has 0.9500 where the bound is 0.9700 in the mean" in note
    assert "holds for any model" in note


def test_a_verdict_says_which_model_ran_out_of_epochs() -> None:
    ours = outcome_of("rafm-64-256", [0.1, 0.11], best_epoch=8)
    theirs = outcome_of("fm-256", [0.2, 0.21])
    (loss, _) = beats("it is better", "here", ours, theirs, "better")
    assert loss.why.endswith("; RaFM 64,256 still got better at the last epoch")
    assert not theirs.was_cut


def clean_block(
    experiment: str,
    data_set: str,
    sizes: dict[str, int],
    place: Place,
    data: PreparedData,
) -> Block:
    """Make the results of two seeds: a model of more parameters has more loss."""
    cells = [Cell(data_set, model, "clean") for model in sizes]
    for cell in cells:
        for seed in (1, 2):
            loss = 0.1 + seed / 1e4 + sizes[cell.model] / 1e5
            more = {"n_parameters": sizes[cell.model], **CLICKS}
            put_row(place.store, row(cell, seed, loss, **more))
    found = Found(SETS[data_set], SETS[data_set].choices[0], ())
    return read_block(experiment, found, cells, place, {"clean": data})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give the folder of a report of two seeds."""
    return Place(tmp_path, make_budget("small", 2), 1)


FRAPPE = {"fm-256": 3_000, "difacto-64-256": 900, "rafm-64-256": 1_000}
TAGS = {"fm-512": 3_000, "rafm-s1": 1_000, "rafm-s2": 1_100, "rafm-s3": 1_200}
TAGS |= {"rafm-s4": 1_300}


def test_rafm_is_held_against_the_least_fm_of_as_many_parameters(
    place: Place, click_data: PreparedData
) -> None:
    sizes = FRAPPE | {"fm-94": 600, "fm-152": 960}
    verdicts = judge_block(clean_block("table4", "frappe", sizes, place, click_data))
    equal = [one.claim for one in verdicts if one.kind.startswith(EQUAL)]
    claim = "RaFM 64,256 is better than FM 152 of 0.96 times its parameters"
    assert equal == [f"{claim} in log loss", f"{claim} in AUC"]
    assert {one.protocol for one in verdicts} == {"clean"}
    assert all(one.kind for one in verdicts)


def test_what_is_judged_against_the_papers_fm_is_not_judged_again_as_equal(
    place: Place, click_data: PreparedData
) -> None:
    verdicts = judge_block(clean_block("table2", "ml-tag", TAGS, place, click_data))
    assert not [one for one in verdicts if one.kind.startswith(EQUAL)]
    losses = [one.claim for one in verdicts if one.kind == f"{better('fm')} in loss"]
    assert losses == [f"RaFM S{n} is better than FM 512 in log loss" for n in "1234"]


def test_where_f_2_is_nearly_empty_nothing_is_judged_by_rafm(
    place: Place, click_data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = clean_block("table4", "frappe", FRAPPE, place, click_data)
    share = block.shares["rafm-64-256", "clean"]
    assert share is not None
    assert not share.is_empty
    assert block.shares["fm-256", "clean"] is None
    assert YES in {one.result for one in judge_block(block)}
    block.shares["rafm-64-256", "clean"] = Share(0.004, 0.009)
    told = [one for one in judge_block(block) if one.kind != AIM]
    assert {one.result for one in told} == {OPEN}
    assert "F_2 of RaFM 64,256 has 0.4 % / 0.9 % of features / entries" in told[0].why


def test_the_share_of_f_2_is_that_of_features_and_entries(
    click_data: PreparedData,
) -> None:
    share = share_above(Cell("frappe", "rafm-64-256", "clean"), click_data)
    counts = click_data.train_counts()
    high = counts > 128  # Eq. 17: the root of 64 * 256
    expected = (high.mean(), counts[high].sum() / counts.sum())
    assert share == pytest.approx(expected)


def test_figure_3_is_drawn_and_judged_by_the_loss_of_all_rows(
    place: Place, click_data: PreparedData
) -> None:
    sizes = dict.fromkeys((*FM_RANKS, "rafm-s1"), 1_000)
    block = clean_block("fig3", "ml-tag", sizes, place, click_data)
    for one in block.outcomes.values():
        for found in one.rows:
            found["all_log_loss"] = 0.3 if one.cell.model == "rafm-s1" else 0.5
    any_rank, low, _ = judge_block(block)
    assert any_rank.why.startswith("0.3000 ± 0.0000 against 0.5000")
    assert (any_rank.result, low.contrary) == (YES, True)
    (axes,) = ranks_plot(block, "clean").axes
    drawn = {x for line in axes.lines for x in np.ravel(line.get_ydata())}
    assert drawn == {0.3, 0.5, CLICKS["level_1_log_loss"]}


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        ([1.0, 1.1], [3.0, 3.1], YES),
        ([1.0, 3.0], [2.5, 3.5], NO),
        ([1.0], [3.0], OPEN),
    ],
    ids=["apart", "overlap", "one seed"],
)
def test_faster_is_judged_by_intervals_of_the_seeds_own_seconds(
    ours: list[float], theirs: list[float], result: str
) -> None:
    pair = []
    for model, seconds in (("rafm-64-256", ours), ("fm-256", theirs)):
        made = outcome_of(model, [0.1] * len(seconds))
        for found, one in zip(made.rows, seconds, strict=True):
            found["train_seconds"] = one
        pair.append(made)
    verdict = judge_faster("it is faster", "here", *pair)
    assert verdict.result == result
    assert "times the seconds an epoch: " in verdict.why


LR = Point("LR", 0.0, 1.0, Interval(0.70, 0.001, 3), 0.70)
RAFM = Point("RaFM 1,2,4,8", 0.0, 1.5, Interval(0.80, 0.01, 3), 0.80)


def fm(rank: int, size: float, auc: float, valid: float | None = None) -> Point:
    known = auc if valid is None else valid
    return Point(f"FM {rank}", size, size, Interval(auc, 0.001, 3), known)


@pytest.mark.parametrize(
    ("points", "result", "told"),
    [
        ([LR, RAFM, fm(4, 5, 0.75), fm(8, 9, 0.80)], YES, "at least 6.0 times"),
        ([LR, RAFM, fm(4, 5, 0.80), fm(8, 9, 0.82)], NO, "at most 6.0 times"),
        ([LR, RAFM, fm(4, 5, 0.80)], NO, "no upper bound"),
        ([LR, RAFM, fm(4, 5, 0.75), fm(8, 9, 0.75)], YES, "every FM is below it"),
        ([LR, RAFM, fm(1, 2, 0.75)], OPEN, "no larger FM was run"),
        ([LR, RAFM._replace(size=2.5), fm(8, 9, 0.8)], OPEN, "no strength of L1"),
        ([LR._replace(auc=RAFM.auc), RAFM, fm(8, 9, 0.8)], NO, "no gain on LR"),
    ],
    ids=["more", "fewer", "reached", "never", "small", "no RaFM near", "no gain"],
)
def test_figure_4_bounds_what_fm_needs_by_intervals(
    points: list[Point], result: str, told: str
) -> None:
    chosen = choose(points)
    assert chosen is not None
    verdict = judge_sparse(chosen, points, "here")
    assert verdict.result == result
    assert told in verdict.why


def test_figure_4_compares_each_fm_at_the_l1_that_validation_prefers() -> None:
    sparse, dense = fm(8, 2, 0.80, valid=0.70), fm(8, 9, 0.80, valid=0.71)
    chosen = choose([LR, RAFM, sparse, dense])
    assert chosen is not None
    assert chosen.fms == [dense]
    verdict = judge_sparse(chosen, [LR, RAFM, sparse, dense], "here")
    assert verdict.result == YES
    assert verdict.why.endswith("chosen on test, an FM at 2.00 times has its AUC")


def test_table_1_is_timed_anew_for_another_commit_and_so_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regimes, "TURNS", 1)
    monkeypatch.setattr(regimes, "_time", lambda *_: (1.0, 2.0))
    file = tmp_path / "table1.json"
    first = regimes.measure_regimes(file, Silent())
    monkeypatch.setattr(regimes, "_time", lambda *_: (3.0, 4.0))
    assert regimes.measure_regimes(file, Silent()) == first
    other = {"rafm-bench": "0", "commit": "another", "processor": "this"}
    monkeypatch.setattr(regimes, "measured_by", lambda: other)
    assert {one["train"] for one in regimes.measure_regimes(file, Silent())} == {3.0}


def test_the_epochs_that_are_told_are_those_of_the_files_and_the_budget(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, make_budget("full", None), 1)
    plan = Plan(("table3", "table4", "fig4"), ("clean", "paper"), tmp_path, place)
    told = " ".join(describe(plan))
    assert (
        "; ".join(
            (
                "epochs at most table3: 60 (clean), 400 (paper)",
                "table4: 40 (clean), 200 (paper)",
                "fig4: 40 (sparse)",
            )
        )
        in told
    )


def test_a_claim_that_stands_in_two_parts_counts_once() -> None:
    yes = Verdict("a", YES, "here, clean", "", "some kind", "clean")
    no = Verdict("b", NO, "here, clean", "", "some kind", "clean", contrary=True)
    late = Verdict("c", OPEN, "there", "", "some kind", "clean")
    parts = {
        "Table 2": [Section("x", verdicts=[yes, no])],
        "Table 4": [Section("y", verdicts=[yes, late])],
    }
    verdicts = each_once(parts)
    assert len(verdicts) == 3
    table = claims_table(verdicts)
    assert table.rows == [["Some kind", "1 of 2 (1 reversed)", "1"]]
    assert lead(verdicts).startswith("Of 3 claims, each on one data set")
    assert tally("Table 4", parts["Table 4"]) == Tally("Table 4", 1, 0, 0, 1)
    assert tally("Table 2", parts["Table 2"]) == Tally("Table 2", 1, 1, 1, 0)
    assert no.told == "not reproduced, reversed"


def test_data_like_the_papers_have_its_figures_by_kind_of_model() -> None:
    assert printed_for("ml-1m", "rafm-16-64") == PAPER["ml-10m"]["rafm-8-32"]
    assert printed_for("frappe", "fm-94") is None
    assert set(LIKE.values()) <= set(PAPER)
    assert set(PAPER) == set(SIZES)


def test_data_that_are_not_there_have_the_figures_of_the_paper() -> None:
    first = printed_table("ml-20m").rows[0]
    assert first == ["FM", "0.8002 ± 0.0008", "5.45M", "1.00", "1.00"]


def test_what_is_missing_is_told_with_what_stands_in_and_the_way_to_get_it() -> None:
    ours = Found(SETS["ml-1m"], SETS["ml-1m"].choices[0], ())
    assert missing({"ml-1m": ours, "ml-10m": None, "ml-20m": None}) == [
        ("ML-10M", "nothing; in its place MovieLens 1M", SETS["ml-10m"].get),
        ("ML-20M", "nothing", SETS["ml-20m"].get),
    ]


def test_a_tiny_interval_is_not_written_as_none() -> None:
    assert str(Interval(0.5, 0.00002, 3)) == "0.5000 ± <0.0001"
    assert str(Interval(0.5, 0.0, 3)) == "0.5000 ± 0.0000"
