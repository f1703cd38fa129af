"""How claims of the RaFM paper are judged, counted and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.progress import Silent
from rafm_bench.reproduce.block import read_block
from rafm_bench.reproduce.bound import Pair, judge_bound, limits, measure_levels
from rafm_bench.reproduce.budget import make_budget
from rafm_bench.reproduce.cells import Cell
from rafm_bench.reproduce.claims import claims_table, each_once, lead, tally
from rafm_bench.reproduce.judges import EQUAL, judge_block
from rafm_bench.reproduce.method import missing
from rafm_bench.reproduce.paper import LIKE, PAPER, SIZES, printed_for
from rafm_bench.reproduce.results import Interval, Outcome
from rafm_bench.reproduce.section import Section
from rafm_bench.reproduce.sets import SETS, Found
from rafm_bench.reproduce.tables import printed_table
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict, beats
from rafm_bench.reproduce.work import Place
from rafm_bench.store import put_row
from rafm_bench.train import train
from rafm_datasets import open_prepared

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.run import Run

BOUNDED = {
    "level_1_rmse": 0.95,
    "level_2_rmse": 0.91,
    "level_3_rmse": 0.90,
    "level_1_next_loss": 0.05,
    "level_2_next_loss": 0.02,
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
        "valid_log_loss": log_loss,
        "best_epoch": 3,
        "epochs": 8,
        "n_parameters": 1_000,
        "train_seconds": 1.0,
        "score_seconds": 1.0,
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
    verdict = judge_bound([Outcome(cell, (row(cell, 1, 0.5, **more),), ())], "here")
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
    [({}, YES), ({"level_1_rmse": 0.98}, NO), ({"level_1_next_loss": None}, OPEN)],
    ids=["below", "above", "not measured"],
)
def test_a_bound_is_reproduced_when_every_level_of_every_run_is_below(
    changed: dict[str, Any], result: str
) -> None:
    ours = outcome_of("rafm-64-256", [0.9], **BOUNDED | changed | {"loss": "square"})
    assert judge_bound([ours], "here").result == result


def test_a_verdict_says_which_model_ran_out_of_epochs() -> None:
    ours = outcome_of("rafm-64-256", [0.1, 0.11], best_epoch=8)
    theirs = outcome_of("fm-256", [0.2, 0.21])
    (loss, _) = beats("it is better", "here", ours, theirs, "better")
    assert loss.why.endswith("; RaFM 64,256 still got better at the last epoch")
    assert not theirs.was_cut


def test_rafm_is_held_against_the_least_fm_of_as_many_parameters(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, make_budget("small", 2), 1)
    sizes = {"fm-256": 3_000, "difacto-64-256": 900, "rafm-64-256": 1_000}
    sizes |= {"fm-94": 600, "fm-152": 960}
    cells = [Cell("frappe", model, "clean") for model in sizes]
    for cell in cells:
        for seed in (1, 2):
            loss = 0.1 + seed / 100 + sizes[cell.model] / 1e5
            put_row(place.store, row(cell, seed, loss, n_parameters=sizes[cell.model]))
    found = Found(SETS["frappe"], SETS["frappe"].choices[0], ())
    verdicts = judge_block(read_block("table4", found, cells, place))
    equal = [one.claim for one in verdicts if one.kind.startswith(EQUAL)]
    claim = "RaFM 64,256 is better than FM 152 of 0.96 times its parameters"
    assert equal == [f"{claim} in log loss", f"{claim} in AUC"]
    assert {one.protocol for one in verdicts} == {"clean"}
    assert all(one.kind for one in verdicts)


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
    assert tally("Table 4", parts["Table 4"]) == ("Table 4", 1, 0, 1)


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
