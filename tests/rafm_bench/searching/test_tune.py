"""Searches: what is judged by what, and that they go on wherever they stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench import tune as tune_module
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
from rafm_bench.search import STORE, TRIALS, Search
from rafm_bench.store import read_store
from rafm_bench.train import UNTESTED
from rafm_bench.tune import tune
from tests.rafm_bench.searching.conftest import (
    WHAT_COUNTS,
    invoke,
    rows_of,
    search_of,
    tune_words,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import PreparedData


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
