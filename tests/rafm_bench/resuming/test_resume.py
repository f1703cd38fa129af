"""Runs that stop and go on: always with the bytes of a run that never stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench import best
from rafm_bench import train as train_module
from rafm_bench.checkpoint import Standing, write_state
from rafm_bench.errors import Interrupted, UserError
from rafm_bench.execution import Execution
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import CHECKPOINT, MODEL, PROGRESS, Run, read_run
from rafm_bench.run_folder import RunFolder
from rafm_bench.train import train
from tests.rafm_bench.resuming.conftest import (
    CONFIG_OF_ALL,
    Killed,
    Signals,
    assert_as_if_never_stopped,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.origin import Origin
    from rafm_datasets import PreparedData


@pytest.fixture(params=[1 << 26, 0], ids=["best in memory", "best on disk"])
def best_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "IN_MEMORY", request.param)


@pytest.mark.usefixtures("best_kept")
def test_a_run_interrupted_at_every_report_goes_on_at_its_step(
    data: PreparedData, straight: Run, tmp_path: Path
) -> None:
    """In passes, in validation and in the test."""
    for at in range(1000):
        out = tmp_path / str(at)
        try:
            train(CONFIG_OF_ALL, data, out, Signals(at))
            break
        except Interrupted:
            pass
        assert_as_if_never_stopped(resume(out, None, Silent()), straight)
    n_reports = 4 + 2  # of an epoch: chunks of the pass, and of validation
    assert at == len(straight.result.epochs) * n_reports + 2


def test_a_run_may_be_interrupted_at_every_step(
    data: PreparedData, tmp_path: Path
) -> None:
    config, out = replace(CONFIG_OF_ALL, epochs=1), tmp_path / "run"
    with pytest.raises(Interrupted):
        train(config, data, out, Signals(0))
    for _ in range(3):
        with pytest.raises(Interrupted):
            resume(out, None, Signals(0))
    straight = train(config, data, tmp_path / "straight", Silent())
    assert_as_if_never_stopped(resume(out, None, Silent()), straight)


@pytest.mark.parametrize("optimizer", ["adam", "ftrl", "sgd", "adagrad-row"])
def test_what_an_optimizer_keeps_goes_on_too(
    optimizer: str, data: PreparedData, tmp_path: Path
) -> None:
    config = replace(CONFIG_OF_ALL, optimizer=optimizer, epochs=2, learning_rate=0.05)  # type: ignore[arg-type]
    straight = train(config, data, tmp_path / "straight", Silent())
    with pytest.raises(Interrupted):
        train(config, data, tmp_path / "run", Signals(6))
    assert_as_if_never_stopped(resume(tmp_path / "run", None, Silent()), straight)


def kill(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.usefixtures("best_kept")
@pytest.mark.parametrize("step", ["write_result", "measure", "_result"])
def test_a_run_killed_at_its_very_end_goes_on(
    step: str,
    data: PreparedData,
    straight: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also between its model, which has its final name then, and its result."""
    with monkeypatch.context() as patch:
        patch.setattr(train_module, step, kill)
        with pytest.raises(Killed):
            train(CONFIG_OF_ALL, data, tmp_path / "run", Silent())
    assert (tmp_path / "run" / MODEL).exists() == (step == "write_result")
    assert_as_if_never_stopped(resume(tmp_path / "run", None, Silent()), straight)


def test_what_a_process_leaves_that_is_killed_after_the_result_is_removed(
    data: PreparedData, straight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", kill)
        with pytest.raises(Killed):
            train(CONFIG_OF_ALL, data, tmp_path / "run", Silent())
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert_as_if_never_stopped(resume(tmp_path / "run", None, Silent()), straight)


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "fit", kill)
    with pytest.raises(Killed):
        train(CONFIG_OF_ALL, data, tmp_path / "run", Silent())
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_come_when_they_are_due(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill so costs the work since the last of them, and no more."""
    written: list[int] = []

    def counted(file: Path, origin: Origin, standing: Standing, arrays: Any) -> None:
        written.append(standing.rows)
        write_state(file, origin, standing, arrays)

    monkeypatch.setattr("rafm_bench.course.write_state", counted)
    config = replace(CONFIG_OF_ALL, epochs=1)
    for every, rows in (("1steps", [100, 200, 300, 400]), ("15steps", [200, 400])):
        written.clear()
        how = Execution(checkpoint_every=every)
        train(config, data, tmp_path / every, Silent(), how)
        assert written == [*rows, 0]
    written.clear()
    train(config, data, tmp_path / "10m", Silent())
    assert written == [0]


# Signals to a process of its own.


def start(out: Path, *words: str) -> subprocess.Popen[str]:
    """Start a long training; return when it has begun to learn."""
    command = [sys.executable, "-m", "rafm_bench", "train", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = out / PROGRESS
    while process.poll() is None and not (log.exists() and len(log.read_bytes()) > 100):
        pass
    return process


def long_training(data: PreparedData, out: Path) -> list[str]:
    words = [str(data.folder), "--epochs", "100000", "--patience", "0"]
    return [*words, "--backend", "numpy", "--model", "lr", "--out", str(out)]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(
    number: int, code: int, data: PreparedData, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(out, *long_training(data, out))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said.splitlines()[-1] == (
        f"rafm-bench: interrupted; go on with `rafm-bench train --resume {out}`"
    )
    with pytest.raises(UserError, match="not a finished run; finish it by"):
        read_run(out)
    with pytest.raises(UserError, match=r"not finished; go on with .* or remove it"):
        train(CONFIG_OF_ALL, data, out, Silent())


def test_a_run_is_trained_by_one_process_and_a_dead_one_holds_nothing(
    data: PreparedData, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(out, *long_training(data, out))
    with pytest.raises(UserError, match=f"is being trained by process {process.pid} "):
        resume(out, None, Silent())
    process.kill()
    process.communicate(timeout=60)
    with pytest.raises(Interrupted):
        resume(out, None, Signals(3))


def test_a_second_ctrl_c_ends_at_once_and_the_last_checkpoint_stays(
    broken_off: Path, straight: Run
) -> None:
    class Twice(Silent):
        def __call__(self, stage: str, *_: Any, **__: Any) -> None:
            if stage != "compiling":
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="the last checkpoint stays, and"):
        resume(broken_off, None, Twice())
    assert_as_if_never_stopped(resume(broken_off, None, Silent()), straight)
