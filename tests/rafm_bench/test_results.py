"""What commands tell of data and runs: figures that agree with each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from rafm_bench import ranking
from rafm_bench.cli.program import main
from rafm_bench.compare import compare
from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.meter import Meter
from rafm_bench.model_file import load_model
from rafm_bench.progress import Silent
from rafm_bench.run import MODEL, RESULT
from rafm_bench.scoring import as_batch
from rafm_bench.summary import frequency_bins
from rafm_bench.train import train
from rafm_datasets import open_prepared, stream
from rafm_kernels import RankLayout, load_backend, probability

if TYPE_CHECKING:
    from rafm_bench.run import Run
    from rafm_datasets import PreparedData


def told(*words: str | Path) -> Any:
    """Run a command with --json; return what it prints on stdout."""
    result = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert result.exit_code == 0, (result.stderr, result.exception)
    return json.loads(result.stdout)


def printed(*words: str | Path) -> str:
    """Run a command; return its text on stdout."""
    result = CliRunner().invoke(main, [*map(str, words)])
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result.stdout


def test_predictions_agree_with_evaluate(
    rafm_run: Run, clicks: Path, tmp_path: Path
) -> None:
    file = tmp_path / "scores.parquet"
    assert told("predict", rafm_run.folder, clicks, "--out", file) == {
        "file": str(file),
        "split": "test",
        "n_rows": 400,
    }
    table = pl.read_parquet(file)
    assert table.schema == {"label": pl.Float32, "score": pl.Float64}
    label, score = (table[name].to_numpy() for name in ("label", "score"))
    metrics = told("evaluate", rafm_run.folder)["metrics"]
    likelihood = np.where(label > 0, score, 1 - score)
    assert metrics["log_loss"] == pytest.approx(-np.log(likelihood).mean(), rel=1e-9)
    assert metrics["auc"] == pytest.approx(roc_auc_score(label, score), abs=1e-9)
    assert metrics["brier"] == pytest.approx(np.mean((score - label) ** 2), rel=1e-9)
    assert metrics["calibration"] == pytest.approx(score.mean() / label.mean())
    assert metrics == json.loads(json.dumps(rafm_run.result.test))


@pytest.fixture(scope="module")
def rating_run(ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a RaFM of ratings after an epoch."""
    config = TrainConfig(ranks=(2, 8), epochs=1, backend="numpy")
    folder = tmp_path_factory.mktemp("ratings") / "run"
    return train(config, open_prepared(ratings), folder, Silent())


@pytest.mark.parametrize("name", ["rafm_run", "rating_run"])
def test_levels_stand_beside_the_prediction_in_its_unit(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(name)
    plain, file = tmp_path / "plain.parquet", tmp_path / "levels.parquet"
    told("predict", run.folder, "--out", plain)
    told("predict", run.folder, "--levels", "--out", file)
    table = pl.read_parquet(file)
    m = len(run.result.features_at_rank)
    names = [f"level_{k}" for k in range(1, m + 1)]
    assert table.columns == ["label", "score", *names]
    assert table.select("label", "score").equals(pl.read_parquet(plain))
    assert table[f"level_{m}"].equals(table["score"])

    model, parameters, _ = load_model(run.folder / MODEL)
    data = open_prepared(run.result.data)
    rows = next(stream(data, "test", table.height))
    batch = as_batch(rows, model.layout, data)
    backend = load_backend(run.config.backend)
    expected = backend.level_scores(model, parameters, batch)
    if model.loss == "log":
        expected = probability(expected)
    np.testing.assert_allclose(table.select(names).to_numpy().T, expected, rtol=1e-6)
    assert not np.allclose(expected[0], expected[-1])


def test_levels_are_measured(rafm_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    told("predict", rafm_run.folder, "--levels", "--out", file)
    table = pl.read_parquet(file)
    found = told("evaluate", rafm_run.folder, "--levels")
    plain = told("evaluate", rafm_run.folder)
    assert found.pop("levels")[-1] == plain["metrics"]
    assert found == plain
    levels = told("evaluate", rafm_run.folder, "--levels")["levels"]
    for k, metrics in enumerate(levels, start=1):
        error = (table[f"level_{k}"] - table["label"].cast(pl.Float64)).pow(2).mean()
        assert metrics["brier"] == pytest.approx(error, rel=1e-12)
    text = printed("evaluate", rafm_run.folder, "--levels")
    assert "test, level 1" in text
    assert "level" not in printed("evaluate", rafm_run.folder)


def test_a_model_of_one_level_has_it_and_one_without_is_refused(
    clicks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.parquet"
    for model in ("fm", "lr"):
        words = ("--model", model, "--backend", "numpy", "--epochs", "1")
        told("train", clicks, *words, "--out", tmp_path / model)
    told("predict", tmp_path / "fm", "--levels", "--out", out)
    table = pl.read_parquet(out)
    assert table.columns == ["label", "score", "level_1"]
    assert table["level_1"].equals(table["score"])
    for command in (["evaluate"], ["predict", "--out", str(out)]):
        refused = CliRunner().invoke(main, [*command, str(tmp_path / "lr"), "--levels"])
        assert refused.exit_code == 2
        assert refused.stderr.splitlines()[-1] == (
            f"rafm-bench: {tmp_path / 'lr'}: model lr has no levels; leave --levels out"
        )
    assert pl.read_parquet(out).equals(table)


def test_the_auc_of_a_large_split_is_told_with_its_error(
    rafm_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rafm_run.result.test is not None
    monkeypatch.setattr(ranking, "EXACT_ROWS", 100)
    found = told("evaluate", rafm_run.folder)
    metrics, exact = found["metrics"], rafm_run.result.test["auc"]
    assert 0 < metrics["auc_error"] < 1e-2
    assert metrics["auc"] == pytest.approx(exact, abs=metrics["auc_error"])
    assert "its AUC comes from counts of scores" in found["notes"][0]
    assert "auc_error" not in printed("evaluate", rafm_run.folder)


def test_predictions_of_ratings_are_ratings(ratings: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "scores.parquet"
    result = told("train", ratings, "--model", "fm", "--epochs", "1", "--out", run)
    told("predict", run, ratings, "--split", "valid", "--out", file)
    table = pl.read_parquet(file)
    error = (table["label"].cast(pl.Float64) - table["score"]).pow(2).mean()
    assert result["valid"]["square_loss"] == pytest.approx(error, rel=1e-9)


def test_inspect_tells_sizes_that_add_up(
    clicks: Path, click_data: PreparedData
) -> None:
    summary = told("inspect", clicks, "--ranks", "4,16")
    assert [split["n_rows"] for split in summary["splits"]] == [3200, 400, 400]
    assert all(0 < split["label_mean"] < 1 for split in summary["splits"])
    assert (
        sum(field["n_features"] for field in summary["fields"])
        == (summary["n_features"])
    )
    assert sum(one["n_features"] for one in summary["frequencies"]) == (
        click_data.n_features
    )
    low, high = summary["levels"]
    assert (low["rank"], high["rank"]) == (4, 16)
    assert low["n_features"] == click_data.n_features
    assert low["features_per_row"] == 2.0
    assert high["least_count"] >= 9  # Eq. 17: above sqrt(4 * 16)
    cost = summary["cost"]
    assert cost["per_row"] == pytest.approx(4 * 2 + 16 * high["features_per_row"])
    assert cost["ratio"] == pytest.approx(cost["per_row"] / 32)


def test_data_counted_over_all_splits_has_its_levels_by_those_counts(
    clicks: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    raw = [clicks.parent / f"{name}.libfm" for name in ("train", "valid", "test")]
    flags = ["--split", "given", "--count-splits", "all"]
    prepared = told("prepare", "libfm", *raw, *flags, "--out", data)
    summary = told("inspect", data, "--ranks", "4,16")
    assert prepared["fingerprint"] == summary["fingerprint"]
    counts = open_prepared(data).frequencies().select(cs.ends_with("_count"))
    above = (counts.sum_horizontal() > 8).sum()
    assert summary["counted_in"] == "all splits"
    assert summary["levels"][1]["n_features"] == above
    assert summary["levels"][1]["least_count"] >= 9


def test_inspect_without_ranks_tells_no_levels(clicks: Path) -> None:
    summary = told("inspect", clicks)
    assert (summary["levels"], summary["cost"]) == ([], None)
    assert "seen in training" in printed("inspect", clicks)


def test_a_model_without_ranks_has_parameters_and_no_levels(clicks: Path) -> None:
    n = told("inspect", clicks)["n_features"]
    assert f"parameters {n + 1:,}: a weight" in printed(
        "inspect", clicks, "--model", "lr"
    )
    feature = told("explain", clicks, "--id", "0", "--model", "lr")
    assert (feature["level"], feature["rank"]) == (None, None)


@pytest.mark.parametrize("name", ["f.png", "f.svg"])
def test_inspect_draws_the_histogram(clicks: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    printed("inspect", clicks, "--ranks", "4,16", "--plot", file)
    head = file.read_bytes()[:400]
    assert head.startswith(b"\x89PNG") if name == "f.png" else b"<svg" in head


def test_frequency_bins_are_powers_of_two_and_zero_apart() -> None:
    bins = frequency_bins(np.array([9, 8, 7, 4, 3, 2, 1, 1, 0, 0, 0]))
    assert [(one.lowest, one.highest, one.n_features) for one in bins] == [
        (0, 0, 3),
        (1, 1, 2),
        (2, 3, 2),
        (4, 7, 2),
        (8, 15, 2),
    ]


def test_explain_goes_from_value_to_id_and_back(clicks: Path) -> None:
    by_value = told("explain", clicks, "feature", "0", "--ranks", "4,16")
    by_id = told("explain", clicks, "--id", str(by_value["id"]), "--ranks", "4,16")
    assert by_value == by_id
    assert by_value["kind"] == "value"
    assert by_value["counts"]["train"] > 100
    assert (by_value["level"], by_value["rank"]) == (2, 16)
    assert "rank" in printed("explain", clicks, "--id", "0", "--ranks", "4,16")


def test_explain_tells_what_an_unseen_value_is_read_as(clicks: Path) -> None:
    feature = told("explain", clicks, "feature", "12345")
    assert feature["kind"] == "rare"
    assert "feature=12345 has no feature of its own" in feature["note"]


def test_compare_is_relative_to_the_first_run(rafm_run: Run) -> None:
    compared = told("compare", rafm_run.folder, rafm_run.folder)
    first, second = compared["runs"]
    assert first == second
    assert second["relative_parameters"] == second["relative_cost"] == 1
    assert compared["notes"] == []
    assert "16" in printed("compare", rafm_run.folder)


def test_compare_notes_what_makes_runs_hard_to_compare(rafm_run: Run) -> None:
    other = replace(rafm_run.result, threads=2)
    notes = compare([rafm_run, replace(rafm_run, result=other)]).notes
    assert [note.split(":")[0] for note in notes] == [
        "the runs used different numbers of threads",
    ]


def test_compare_refuses_runs_of_different_data(rafm_run: Run) -> None:
    other = replace(rafm_run.result, data_fingerprint="x" * 64)
    own = rafm_run.result.data_fingerprint[:12]
    with pytest.raises(UserError, match=f"of data {own}, .* of data x{{12}}: their"):
        compare([rafm_run, replace(rafm_run, folder=Path("other"), result=other)])


def test_compare_refuses_runs_that_are_measured_in_another_way(rafm_run: Run) -> None:
    config = replace(rafm_run.config, blocks=7)
    with pytest.raises(UserError, match=r"of blocks 0, .* of blocks 7: their quality"):
        compare([rafm_run, replace(rafm_run, folder=Path("other"), config=config)])


def test_backends_agree_with_the_reference() -> None:
    listed = told("backends")
    assert listed["usable_cpus"] >= 1
    assert {"numpy", "numba"} <= {one["name"] for one in listed["backends"]}
    assert [one for one in listed["backends"] if not one["agrees"]] == []
    assert "is the reference" in printed("backends")


def test_one_class_is_null_in_json_and_a_note(
    rafm_run: Run, clicks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meter, "metrics", lambda *_: {"log_loss": 0.5, "auc": None})
    result = told("evaluate", rafm_run.folder, "--data", clicks)
    assert result["metrics"] == {"log_loss": 0.5, "auc": None}
    assert result["notes"] == [
        "the test split holds labels of one class only: it has no AUC"
    ]


def test_an_id_twice_in_a_row_becomes_one_entry_of_twice_the_value(
    tmp_path: Path,
) -> None:
    raw = tmp_path / "raw.libfm"
    raw.write_text("1 3 5 3\n" * 30, encoding="ascii")
    told("prepare", "libfm", raw, "--out", tmp_path / "data")
    data = open_prepared(tmp_path / "data")
    layout = RankLayout.from_counts(data.train_counts(), (4,))
    batch = as_batch(next(stream(data, "train", 1000)), layout, data)
    assert batch.values is not None
    assert set(np.diff(batch.indptr)) == {2}
    assert batch.values.reshape(-1, 2).tolist() == [[2.0, 1.0]] * batch.n_rows


def test_a_result_without_the_newer_metrics_still_reads_and_compares(
    rafm_run: Run, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(rafm_run.folder, old)
    result = json.loads((old / RESULT).read_text(encoding="utf-8"))
    for metrics in (result["test"], *(one["valid"] for one in result["epochs"])):
        del metrics["brier"], metrics["calibration"]
    (old / RESULT).write_text(json.dumps(result), encoding="utf-8")
    tests = [run["test"] for run in told("compare", old, rafm_run.folder)["runs"]]
    assert [set(test) for test in tests] == [
        {"log_loss", "auc"},
        {"log_loss", "auc", "brier", "calibration"},
    ]
    page = tmp_path / "both.html"
    assert "calibration" in printed("compare", old, rafm_run.folder, "--html", page)
    assert "test calibration" in page.read_text(encoding="utf-8")
