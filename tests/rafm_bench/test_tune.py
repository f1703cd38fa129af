"""Searches: what is judged by what, and that they go on wherever they stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from rafm_bench import tune as tune_module
from rafm_bench.cli.program import main
from rafm_bench.errors import RunError, UserError
from rafm_bench.evaluate import evaluate
from rafm_bench.execution import Execution
from rafm_bench.lock import locked
from rafm_bench.progress import LineReporter, Silent
from rafm_bench.resume import resume
from rafm_bench.run import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    MODEL,
    RESULT,
    is_unfinished,
    read_run,
)
from rafm_bench.search import STORE, TRIALS, Search, make_search
from rafm_bench.space import read_space
from rafm_bench.store import read_store
from rafm_bench.train import UNTESTED
from rafm_bench.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import PreparedData

GRIDS = ("learning-rate=0.02,0.1,1e30", "ranks=2:4,2:8")
WHAT_COUNTS = ("run", "status", "error", "valid_log_loss", "test_log_loss", "l2")


def search_of(
    data: PreparedData, out: Path, *grids: str, keep_models: bool = False
) -> Search:
    shared = {"epochs": 2, "batch_size": 64}
    space = read_space(grids or GRIDS)
    return make_search(data, out, space, shared, keep_models=keep_models)


def rows_of(search: Search) -> list[dict[str, Any]]:
    return read_store(search.store).select(WHAT_COUNTS).to_dicts()


def invoke(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [*map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def tune_words(data: Path, out: Path) -> list[str]:
    grids = [word for grid in GRIDS for word in ("--grid", grid)]
    flags = ["--epochs", "2", "--batch-size", "64", "--out", str(out)]
    return ["tune", str(data), *grids, *flags]


@pytest.fixture(scope="module")
def searched(
    click_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Search:
    """Give a search that ended, with two trials of six that diverge."""
    search = search_of(click_data, tmp_path_factory.mktemp("tune") / "T")
    tune(search, Silent())
    return search


def test_every_trial_is_a_row_also_one_that_diverges(searched: Search) -> None:
    rows = rows_of(searched)
    assert [row["run"] for row in rows] == [
        f"{TRIALS}/{trial.name}" for trial in searched.trials
    ]
    assert [row["status"] for row in rows] == [*["done"] * 2, "failed"] * 2
    errors = [row["error"] for row in rows if row["status"] == "failed"]
    assert all("not finite at step" in error for error in errors)


def test_only_the_best_by_validation_is_tested_and_keeps_its_model(
    searched: Search,
) -> None:
    rows = [row for row in rows_of(searched) if row["status"] == "done"]
    best = min(rows, key=lambda row: row["valid_log_loss"])
    for row in rows:
        folder = searched.out / row["run"]
        files = {file.name for file in folder.iterdir()}
        assert {CONFIG, HISTORY, RESULT} <= files
        assert (MODEL in files) == (row is best)
        result = read_run(folder).result
        assert (
            (result.test is None) == (row["test_log_loss"] is None) == (row is not best)
        )
        assert (UNTESTED in result.notes) == (row is not best)
    run = read_run(searched.out / best["run"])
    assert evaluate(run, None, "test", Silent()).metrics == run.result.test
    assert run.result.test is not None
    assert run.result.test["log_loss"] == best["test_log_loss"]


def test_a_search_that_ended_has_nothing_to_do(
    searched: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = searched.store.read_bytes()
    monkeypatch.setattr(tune_module, "train", None)
    monkeypatch.setattr(tune_module, "evaluate", None)
    tune(searched, Silent())
    assert searched.store.read_bytes() == before


class Crash(BaseException):
    """Ends a search at once, as a kill does."""


@pytest.mark.parametrize("name", ["train", "put_row", "_drop_models", "write_result"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_search_broken_off_anywhere_ends_as_an_unbroken_one(
    searched: Search, tmp_path: Path, name: str, when: str
) -> None:
    search = search_of(searched.data, tmp_path / "T")
    real = getattr(tune_module, name)
    trained: list[str] = []
    for calls in (1, 2, 3, 5):
        left = [calls]

        def broken(*args: Any, left: list[int] = left, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                raise Crash
            done = real(*args, **more)
            if left[0] == 0:
                raise Crash
            return done

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tune_module, name, broken)
            inner = vars(tune_module)["train"]

            def counted(
                config: Any,
                data: Any,
                out: Path,
                *more: Any,
                inner: Any = inner,
                **o: Any,
            ) -> Any:
                run = inner(config, data, out, *more, **o)
                trained.append(out.name)
                return run

            patch.setattr(tune_module, "train", counted)
            try:
                tune(search, Silent())
            except Crash:
                continue
            break
    tune(search, Silent())
    assert rows_of(search) == rows_of(searched)
    assert len(trained) == len(set(trained))
    folders = {file.parent.name for file in search.out.rglob(MODEL)}
    assert folders == {file.parent.name for file in searched.out.rglob(MODEL)}


class CrashAt(Silent):
    """Breaks off in the middle of an epoch of the second trial."""

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        if stage == "trial 2/6, epoch 2/2" and done < (total or 0):
            raise Crash


def test_a_trial_broken_off_in_an_epoch_goes_on_at_its_checkpoint(
    searched: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rafm_bench.engine.CHUNK_ROWS", 640)
    search = search_of(searched.data, tmp_path / "T")
    with pytest.raises(Crash):
        tune(search, CrashAt(), Execution(checkpoint_every="1steps"))
    half = search.folder(search.trials[1].name)
    assert is_unfinished(half)
    resumed: list[Path] = []

    def noted(folder: Path, *more: Any, **options: Any) -> Any:
        resumed.append(folder)
        return resume(folder, *more, **options)

    monkeypatch.setattr(tune_module, "resume", noted)
    tune(search, Silent())
    assert resumed == [half]
    assert rows_of(search) == rows_of(searched)


def test_what_is_left_of_a_run_that_was_being_removed_is_begun_anew(
    searched: Search, tmp_path: Path
) -> None:
    search = search_of(searched.data, tmp_path / "T")
    search.folder(search.trials[0].name).mkdir(parents=True)
    (search.folder(search.trials[1].name) / CHECKPOINT).mkdir(parents=True)
    tune(search, Silent())
    assert rows_of(search) == rows_of(searched)


@pytest.mark.slow
def test_a_killed_search_goes_on_by_the_same_command(
    searched: Search, clicks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "T"
    words = [sys.executable, "-m", "rafm_bench", *tune_words(clicks, out)]
    path = os.pathsep.join(path for path in sys.path if path)
    started = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    while not (out / STORE).exists():
        assert started.poll() is None
        time.sleep(0.002)
    started.send_signal(signal.SIGKILL)
    started.wait()
    read_store(out / STORE)
    code, stdout, stderr = invoke(*tune_words(clicks, out))
    assert code == 0, stderr
    assert "settled before" in stderr.splitlines()[0]
    assert "has the lowest validation log loss of 4 trials" in stdout
    wanted = read_store(searched.store).select(WHAT_COUNTS)
    assert read_store(out / STORE).select(WHAT_COUNTS).equals(wanted)


def test_ctrl_c_says_how_to_go_on(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_module, "train", interrupt)
    code, _, stderr = invoke(*tune_words(clicks, tmp_path / "T"))
    assert code == 130
    assert stderr.splitlines()[-1] == (
        f"rafm-bench: interrupted with 6 of 6 trials left; the same command goes on in "
        f"{tmp_path / 'T'}"
    )


def test_all_models_are_kept_when_asked_for(
    click_data: PreparedData, tmp_path: Path
) -> None:
    grid = "learning-rate=0.02,0.1"
    search = search_of(click_data, tmp_path / "T", grid, keep_models=True)
    tune(search, Silent())
    assert len(list(search.out.rglob(MODEL))) == 2


def test_more_trials_in_the_same_folder_add_to_it_and_a_second_test_is_told(
    click_data: PreparedData, clicks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "T"
    worse = search_of(click_data, out, "learning-rate=0.001,0.002")
    tune(worse, Silent())
    more = search_of(click_data, out, "learning-rate=0.002,0.1")
    assert (
        more.plan() == f"2 trials (2 learning-rate) in {out}, 1 of them settled before"
    )
    tune(more, Silent())
    assert len(read_store(more.store)) == 3
    code, stdout, _ = invoke("compare", out, "--json")
    assert code == 0
    assert json.loads(stdout)["notes"] == [
        "the test split was scored for 2 trials: choose by validation, or the test "
        "figures flatter"
    ]


def test_what_the_user_must_mend_is_a_row_and_is_tried_again(
    click_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = search_of(click_data, tmp_path / "T", "learning-rate=0.1,0.2")
    real = vars(tune_module)["train"]

    def refused(config: Any, *more: Any, **options: Any) -> Any:
        if config.learning_rate == 0.2:
            raise UserError("does not fit")
        return real(config, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(tune_module, "train", refused)
        tune(search, Silent())
    assert rows_of(search)[1]["error"] == "does not fit"
    tune(search, Silent())
    assert [row["status"] for row in rows_of(search)] == ["done", "done"]


def test_a_full_disk_ends_the_search_and_is_no_row(
    click_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RunError("cannot write") from OSError(28, "no space")

    monkeypatch.setattr(tune_module, "train", full)
    search = search_of(click_data, tmp_path / "T")
    with pytest.raises(RunError, match="cannot write"):
        tune(search, Silent())
    assert not search.store.exists()


def test_a_search_whose_trials_all_fail_is_an_error(
    click_data: PreparedData, tmp_path: Path
) -> None:
    search = search_of(click_data, tmp_path / "T", "learning-rate=1e30")
    with pytest.raises(UserError, match="no trial came to an end"):
        tune(search, Silent())
    assert read_store(search.store)["status"].to_list() == ["failed"]


def test_two_searches_do_not_share_a_folder_at_a_time(searched: Search) -> None:
    with (
        locked(searched.out / ".lock"),
        pytest.raises(UserError, match=r"process [0-9]+ on .* is at work there"),
    ):
        tune(searched, Silent())


def test_a_search_on_other_data_or_by_another_loss_is_refused(
    searched: Search, ratings: Path, clicks: Path
) -> None:
    code, _, stderr = invoke(*tune_words(ratings, searched.out))
    assert code == 2
    assert "its trials are on data with fingerprint" in stderr
    code, _, stderr = invoke(*tune_words(clicks, searched.out), "--loss", "square")
    assert code == 2
    assert "its trials have loss log, this command loss square; choose" in stderr


def test_an_option_is_either_searched_or_given(clicks: Path, tmp_path: Path) -> None:
    code, _, stderr = invoke(*tune_words(clicks, tmp_path / "T"), "--ranks", "4,8")
    assert code == 2
    assert "--ranks is given and searched by --grid; leave out one" in stderr


def test_what_is_searched_goes_before_a_file_of_options(
    searched: Search, clicks: Path, tmp_path: Path
) -> None:
    file = searched.out / rows_of(searched)[0]["run"] / CONFIG
    words = ["--config", file, "--grid", "ranks=4,8", "--out", tmp_path / "T"]
    code, stdout, _ = invoke("tune", clicks, *words, "--epochs", "1", "--json")
    assert code == 0
    trials = json.loads(stdout)["trials"]
    assert {row["ranks"] for row in trials} == {"4", "8"}
    assert [(row["learning_rate"], row["epochs"]) for row in trials] == [(0.02, 1)] * 2


def test_a_plan_tells_the_trials_and_writes_nothing(
    clicks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "T"
    code, stdout, _ = invoke(*tune_words(clicks, out), "--plan", "--json")
    planned = json.loads(stdout)
    assert code == 0
    assert (planned["n_trials"], planned["n_left"]) == (6, 6)
    assert planned["trials"][0]["options"] == {"ranks": [2, 4], "learning_rate": 0.02}
    code, stdout, _ = invoke(*tune_words(clicks, out), "--plan")
    assert f"6 trials (2 ranks x 3 learning-rate) in {out}" in stdout
    assert not out.exists()


def test_a_trial_is_one_line_of_progress(
    click_data: PreparedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = search_of(click_data, tmp_path / "T", "learning-rate=0.1,1e30")
    tune(search, LineReporter(sys.stderr))
    first, one, two = capsys.readouterr().err.splitlines()
    assert first.startswith("2 trials (2 learning-rate) in ")
    assert one.startswith("trial 1/2  learning_rate=0.1  valid log_loss 0.")
    assert one.endswith("best so far")
    assert two.startswith("trial 2/2  learning_rate=1e+30  failed: the loss or a wei")


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
