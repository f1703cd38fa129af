"""Searches beside each other and beside runs: tables, refusals, the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from rafm_bench.errors import UserError
from rafm_bench.progress import Silent
from rafm_bench.store import read_store
from rafm_bench.tune import tune
from tests.rafm_bench.searching.conftest import invoke, search_of

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.search import Search
    from rafm_datasets import PreparedData


def test_compare_lists_trials_and_runs_by_validation_loss(
    searched: Search, clicks: Path, tmp_path: Path
) -> None:
    run = tmp_path / "lr"
    assert (
        invoke("train", clicks, "--model", "lr", "--epochs", "1", "--out", run)[0] == 0
    )
    code, stdout, _ = invoke("compare", searched.out, run, "--json")
    assert code == 0
    found = json.loads(stdout)
    assert {"model", "ranks", "learning_rate"} <= set(found["searched"])
    losses = [row["valid_log_loss"] for row in found["trials"]]
    assert losses[:5] == sorted(losses[:5])
    assert losses[5:] == [None, None]
    assert str(run) in [row["run"] for row in found["trials"]]
    code, stdout, _ = invoke("compare", searched.store)
    assert code == 0
    assert "2 of 6 trials came to nothing" in stdout


def test_a_table_that_is_older_than_an_option_has_its_default(
    searched: Search, tmp_path: Path
) -> None:
    older = tmp_path / "older.parquet"
    table = read_store(searched.store).drop("validation", "l1", "seed")
    table.write_parquet(older, metadata={"rafm_bench.store_version": "1"})
    code, stdout, _ = invoke("compare", older, searched.out, "--json")
    assert code == 0
    found = json.loads(stdout)
    assert found["searched"] == ["ranks", "learning_rate"]
    assert {row["validation"] for row in found["trials"]} == {"split"}


def test_compare_refuses_searches_of_different_data(
    searched: Search, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    table = read_store(searched.store)
    table = table.with_columns(data_fingerprint=pl.lit("f" * 64))
    table.write_parquet(other, metadata={"rafm_bench.store_version": "1"})
    code, _, stderr = invoke("compare", searched.out, other)
    own = searched.data.fingerprint[:12]
    assert code == 2
    assert f"{searched.out} is of data {own}, {other} of data {'f' * 12}" in stderr


def test_a_table_of_several_data_sets_is_compared_by_part(
    searched: Search, tmp_path: Path
) -> None:
    both = tmp_path / "results.parquet"
    own = read_store(searched.store).with_columns(data_set=pl.lit("frappe"))
    other = own.with_columns(
        data_set=pl.lit("ml-1m"), data_fingerprint=pl.lit("f" * 64)
    )
    meta = {"rafm_bench.store_version": "1"}
    pl.concat([own, other]).write_parquet(both, metadata=meta)
    code, _, stderr = invoke("compare", both)
    assert code == 2
    assert f"{both} holds trials of data {searched.data.fingerprint[:12]} and" in stderr
    assert "choose some, as by --only data_set=frappe" in stderr
    file = tmp_path / "part.html"
    words = ("compare", both, "--only", "data_set=frappe", "--html", file)
    assert invoke(*words)[0] == 0
    assert "--only data_set=frappe --html" in file.read_text(encoding="utf-8")
    rates = own["learning_rate"].unique().to_list()
    only = ["--only", "data_set=ml-1m", "--only", f"learning_rate={rates[0]:e}"]
    found = json.loads(invoke("compare", both, *only, "--json")[1])
    assert {one["learning_rate"] for one in found["trials"]} == {rates[0]}


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ("model", "--only model: no trial has it; they have rafm"),
        ("model=fm", "--only model=fm: no trial has it; they have rafm"),
        ("modell=fm", "must be COLUMN=VALUE, of the columns backend, "),
    ],
)
def test_a_filter_that_nothing_passes_is_refused_with_what_there_is(
    searched: Search, only: str, told: str
) -> None:
    code, _, stderr = invoke("compare", searched.out, "--only", only)
    assert code == 2
    assert told in stderr


def test_compare_refuses_trials_that_were_judged_otherwise(
    searched: Search, clicks: Path, tmp_path: Path
) -> None:
    run = tmp_path / "lr"
    flags = ["--model", "lr", "--epochs", "1", "--validation", "progressive"]
    assert invoke("train", clicks, *flags, "--out", run)[0] == 0
    code, _, stderr = invoke("compare", searched.out, run)
    assert code == 2
    assert f"of validation split, {run} of validation progressive: their" in stderr


def test_a_report_without_a_trial_that_ended_tells_the_errors(
    click_data: PreparedData, tmp_path: Path
) -> None:
    search = search_of(click_data, tmp_path / "T", "learning-rate=1e30,1e31")
    with pytest.raises(UserError):
        tune(search, Silent())
    code, stdout, _ = invoke("compare", search.out, "--html", tmp_path / "lost.html")
    assert code == 0
    assert "None of 2 trials came to an end." in stdout
    text = (tmp_path / "lost.html").read_text(encoding="utf-8")
    assert text.count("failed: the loss or a weight is not finite") == 2
    assert "<svg" not in text


def test_the_report_of_a_search_has_a_picture_of_every_searched_option(
    searched: Search, tmp_path: Path
) -> None:
    file = tmp_path / "search.html"
    code, _, stderr = invoke("compare", searched.out, "--html", file)
    assert (code, stderr) == (0, f"report in {file}\n")
    text = file.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "Validation log loss by learning rate" in text
    assert "failed: the loss or a weight is not finite" in text
    assert "rafm-bench train" in text
    assert "http" not in text.replace("http://www.w3.org", "")
