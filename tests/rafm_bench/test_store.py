"""The table of runs: what is in a row, and that it is whole whatever happens."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from rafm_bench import store
from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.fingerprint import config_fingerprint
from rafm_bench.lock import locked
from rafm_bench.store import put_row, read_store, row_of_failure, row_of_run
from rafm_bench.versions import versions

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.run import Run

CONFIG = TrainConfig(ranks=(4, 8))


def failure(name: str, error: str = "it diverged") -> store.Row:
    return row_of_failure(CONFIG, name, "d" * 64, "failed", error)


def put_many(file: Path, start: int) -> None:
    for number in range(start, start + 8):
        put_row(file, failure(f"run-{number}"))


def test_a_row_tells_what_was_run_on_what_and_what_came_of_it(
    rafm_run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "runs.parquet"
    put_row(file, row_of_run(rafm_run, "runs/rafm"))
    [row] = read_store(file).to_dicts()
    result = rafm_run.result
    assert result.test is not None
    expected = {
        "run": "runs/rafm",
        "status": "done",
        "error": None,
        "data_fingerprint": result.data_fingerprint,
        "config_fingerprint": config_fingerprint(rafm_run.config),
        "ranks": "2,8,16",
        "learning_rate": 0.05,
        "dependent_learning_rate": None,
        "seed": 3,
        "valid_log_loss": result.valid["log_loss"],
        "test_auc": result.test["auc"],
        "best_epoch": result.best_epoch,
        "n_parameters": result.n_parameters,
        "processor": result.versions["processor"],
    }
    assert expected.items() <= row.items()
    assert row["seconds"] > row["seconds_per_epoch"] > 0
    assert row["peak_memory_bytes"] > 2**20
    assert row["cores"] >= 1


def test_new_columns_are_null_in_older_rows_and_old_ones_stay(tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    put_row(file, failure("a") | {"old": 1})
    put_row(file, failure("b") | {"new": 2.5})
    table = read_store(file).select("run", "old", "new")
    assert table.rows() == [("a", 1, None), ("b", None, 2.5)]


def test_a_run_has_one_row_the_latest_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    for name, error in [("a", "first"), ("b", "other"), ("a", "second")]:
        put_row(file, failure(name, error))
    assert read_store(file).select("run", "error").rows() == [
        ("a", "second"),
        ("b", "other"),
    ]


def test_two_writers_lose_no_row_of_each_other(tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=put_many, args=(file, 100))
    other.start()
    put_many(file, 0)
    other.join()
    assert other.exitcode == 0
    wanted = {f"run-{n}" for n in (*range(8), *range(100, 108))}
    assert set(read_store(file)["run"]) == wanted


def test_a_write_that_fails_leaves_the_table_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.parquet"
    put_row(file, failure("a"))
    before = file.read_bytes()

    def half(table: pl.DataFrame, target: Path, **_: object) -> None:
        target.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half)
    with pytest.raises(KeyboardInterrupt):
        put_row(file, failure("b"))
    assert file.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        ".runs.parquet.lock",
        "runs.parquet",
    ]


@pytest.mark.parametrize("kind", ["missing", "not Parquet", "of others"])
def test_what_is_no_table_of_runs_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "runs.parquet"
    if kind == "not Parquet":
        file.write_text("run,status\n", encoding="ascii")
    if kind == "of others":
        pl.DataFrame({"run": ["a"]}).write_parquet(file)
    with pytest.raises(UserError, match=r"runs\.parquet: not a table of runs"):
        read_store(file)


def test_a_table_of_a_newer_version_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.parquet"
    with monkeypatch.context() as newer:
        newer.setattr(store, "STORE_VERSION", 2)
        put_row(file, failure("a"))
    before = file.read_bytes()
    with pytest.raises(UserError, match="version 2 of the table is newer than 1"):
        put_row(file, failure("b"))
    assert file.read_bytes() == before


def test_a_lock_that_is_held_is_told(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(UserError, match="busy here"),
        locked(tmp_path / "lock", "busy here"),
    ):
        pass
    with locked(tmp_path / "lock", "busy here"):
        pass


def test_a_fingerprint_is_of_what_decides_the_result(tmp_path: Path) -> None:
    first = config_fingerprint(CONFIG)
    assert config_fingerprint(replace(CONFIG, threads=4)) == first
    assert config_fingerprint(replace(CONFIG, learning_rate=0.05)) == first
    assert config_fingerprint(replace(CONFIG, seed=1)) != first
    assert config_fingerprint(replace(CONFIG, l2=2e-6)) != first
    prints = []
    for name, text in [("a.csv", "id,level\n"), ("b.csv", "id,level\n"), ("c.csv", "")]:
        file = tmp_path / name
        file.write_text(text, encoding="ascii")
        levels = replace(CONFIG, rank_rule="explicit", levels=str(file))
        prints.append(config_fingerprint(levels))
    assert [one == prints[0] for one in prints] == [True, True, False]


def test_the_commit_is_told_only_where_the_program_is_in_a_checkout() -> None:
    facts = versions()
    assert facts.get("commit", "0" * 12).removesuffix("-dirty").isalnum()
    assert int(facts["cores"]) >= 1
