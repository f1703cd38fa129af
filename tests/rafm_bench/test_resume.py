"""Runs that stop and go on: always with the bytes of a run that never stopped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench import best, engine, scoring
from rafm_bench import train as train_module
from rafm_bench.checkpoint import Standing, write_state
from rafm_bench.config import TrainConfig
from rafm_bench.errors import Diverged, Interrupted, RunError, UserError
from rafm_bench.execution import Execution
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import CHECKPOINT, CONFIG, MODEL, PROGRESS, Run, read_run
from rafm_bench.run_folder import STATE, RunFolder
from rafm_bench.tensor_file import open_tensors, write_tensors
from rafm_bench.train import train
from rafm_datasets import DataError, PreparedData, open_prepared
from tests.rafm_bench.conftest import prepare_libfm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_bench.origin import Origin

CONFIG_OF_ALL = TrainConfig(
    ranks=(2, 4),
    epochs=4,
    patience=2,
    batch_size=10,
    backend="numpy",
    learning_rate=0.5,
)
OFTEN = Execution(checkpoint_every="1steps")


class Killed(BaseException):
    """Stands for a process that ends where it is."""


class Signals(Silent):
    """Sends this process a signal at one of the reports, from 0."""

    def __init__(self, at: int, number: int = signal.SIGINT) -> None:
        self.left, self.number = at, number
        self.said: list[str] = []

    def __call__(self, stage: str, *_: Any, **__: Any) -> None:
        if stage != "compiling":
            if self.left == 0:
                signal.raise_signal(self.number)
            self.left -= 1

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return open_prepared(prepare_libfm(tmp_path_factory.mktemp("few"), n_rows=500))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_ROWS", 100)
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 25)


@pytest.fixture(scope="module")
def straight(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK_ROWS", 100)
        patch.setattr(scoring, "CHUNK_ROWS", 25)
        out = tmp_path_factory.mktemp("straight") / "run"
        return train(CONFIG_OF_ALL, data, out, Silent())


@pytest.fixture
def broken_off(data: PreparedData, tmp_path: Path) -> Path:
    """Give a run that was interrupted in its second epoch."""
    with pytest.raises(Interrupted):
        train(CONFIG_OF_ALL, data, tmp_path / "run", Signals(8))
    return tmp_path / "run"


def without_seconds(run: Run) -> dict[str, Any]:
    written = asdict(run.result)
    for name in ("compile_seconds", "peak_memory_bytes"):
        del written[name]
    for epoch in written["epochs"]:
        for name in ("seconds", "rows_per_second", "valid_seconds"):
            del epoch[name]
    return written


def assert_as_if_never_stopped(run: Run, straight: Run) -> None:
    assert (run.folder / MODEL).read_bytes() == (straight.folder / MODEL).read_bytes()
    assert without_seconds(run) == without_seconds(straight)
    assert run.config == straight.config
    logs = [(one.folder / PROGRESS).read_text("ascii") for one in (run, straight)]
    rows = [[line.split(",")[1:] for line in log.splitlines()] for log in logs]
    assert rows[0] == rows[1]
    names = [sorted(p.name for p in one.folder.iterdir()) for one in (run, straight)]
    assert names[0] == names[1]


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
@pytest.mark.parametrize("step", ["write_result", "measure_split", "_result"])
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


# What changed since the beginning.


def test_a_finished_run_is_read_and_left_as_it_is(straight: Run) -> None:
    ear = Signals(-1)
    before = {p: p.stat().st_mtime_ns for p in straight.folder.iterdir()}
    assert resume(straight.folder, None, ear) == straight
    assert ear.said == [f"{straight.folder} is finished already; nothing was done"]
    assert {p: p.stat().st_mtime_ns for p in straight.folder.iterdir()} == before


def test_other_options_are_refused_for_a_finished_run_too(straight: Run) -> None:
    with pytest.raises(UserError, match=r"--epochs is 9, and .* was begun with 4;"):
        resume(straight.folder, None, Silent(), flags={"epochs": 9, "threads": 2})


def test_threads_and_the_way_of_working_may_change_and_nothing_else(
    broken_off: Path, straight: Run
) -> None:
    before = (broken_off / CHECKPOINT / STATE).read_bytes()
    with pytest.raises(UserError, match=r"--l2 is 0.5, and .* was begun with 1e-06;"):
        resume(broken_off, None, Silent(), flags={"l2": 0.5})
    assert (broken_off / CHECKPOINT / STATE).read_bytes() == before
    flags = {"threads": 2, "l2": 1e-6}
    run = resume(broken_off, None, Silent(), OFTEN, flags)
    assert (run.folder / MODEL).read_bytes() == (straight.folder / MODEL).read_bytes()
    assert run.result.threads == 2


def test_data_that_moved_is_named(
    data: PreparedData, straight: Run, tmp_path: Path
) -> None:
    old, new, out = tmp_path / "old", tmp_path / "new", tmp_path / "run"
    shutil.copytree(data.folder, old)
    with pytest.raises(Interrupted):
        train(CONFIG_OF_ALL, open_prepared(old), out, Signals(5))
    old.rename(new)
    with pytest.raises(UserError, match=f"its data is no longer at {old}; name it"):
        resume(out, None, Silent())
    with pytest.raises(Interrupted):
        resume(out, new, Signals(3))
    run = resume(out, None, Silent())  # the new place is remembered
    assert run.result.data == str(new)
    assert (run.folder / MODEL).read_bytes() == (straight.folder / MODEL).read_bytes()


def test_other_data_is_refused(broken_off: Path, clicks: Path) -> None:
    with pytest.raises(UserError, match=f"{clicks}: not the data of {broken_off}: its"):
        resume(broken_off, clicks, Silent())


def damage(file: Path, at: int) -> None:
    whole = bytearray(file.read_bytes())
    whole[at] ^= 1
    file.write_bytes(whole)


def edit_config(run: Path) -> None:
    written = json.loads((run / CONFIG).read_text("utf-8"))
    (run / CONFIG).write_text(json.dumps(written | {"seed": 7}), "utf-8")


def age(run: Path) -> None:
    """Write the checkpoint as a version to come would."""
    file = run / CHECKPOINT / STATE
    about = json.loads(open_tensors(file).metadata["rafm_bench"])
    metadata = {"rafm_bench": json.dumps(about | {"format_version": 99})}
    write_tensors(file, {"else": np.zeros(1)}, metadata)


def the_best(run: Path) -> Path:
    return next((run / CHECKPOINT).glob("best-*"))


def state(run: Path) -> Path:
    return run / CHECKPOINT / STATE


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            edit_config,
            r"config.json: `seed` is 7, and the run was begun with 0; put it",
        ),
        (age, "checkpoint format 99 is newer than 1, the newest .* upgrade"),
        (lambda run: damage(state(run), -1), "damaged: its checksum is not that of"),
        (lambda run: damage(state(run), -99), "damaged: its checksum is not that of"),
        (lambda run: os.truncate(state(run), 4000), "state.*: damaged: .* has 4,000"),
        (lambda run: os.truncate(state(run), 3), "header is cut; remove its run, and"),
        (lambda run: state(run).unlink(), "no such checkpoint; remove"),
        (lambda run: damage(the_best(run), -99), "best-1.*: damaged: its checksum"),
        (lambda run: the_best(run).unlink(), "parameters of the best epoch are gone"),
        (lambda run: shutil.rmtree(run / CHECKPOINT), "not a run that can go on"),
        (lambda run: shutil.rmtree(run), "not a run that can go on"),
        (lambda run: (run / CONFIG).unlink(), "config.json: no such config file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "spoilt",
)
def test_a_run_that_was_spoilt_is_refused_in_one_sentence_and_left_alone(
    spoil: Callable[[Path], None], told: str, broken_off: Path
) -> None:
    spoil(broken_off)
    files = [p for p in broken_off.rglob("*") if p.is_file() and p.name != "lock"]
    before = {file: file.read_bytes() for file in files}
    with pytest.raises(UserError, match=told) as caught:
        resume(broken_off, None, Silent())
    assert "\n" not in str(caught.value)
    files = [p for p in broken_off.rglob("*") if p.is_file() and p.name != "lock"]
    assert {file: file.read_bytes() for file in files} == before


def test_a_partition_that_vanished_is_told_and_the_checkpoint_stays(
    data: PreparedData, straight: Run, tmp_path: Path
) -> None:
    copy, out = tmp_path / "copy", tmp_path / "run"
    shutil.copytree(data.folder, copy)
    with pytest.raises(Interrupted):
        train(CONFIG_OF_ALL, open_prepared(copy), out, Signals(5))
    part = next((copy / "train").iterdir())
    hidden = part.rename(tmp_path / part.name)
    before = state(out).read_bytes()
    with pytest.raises(DataError, match=part.name):
        resume(out, None, Silent())
    assert state(out).read_bytes() == before
    hidden.rename(part)
    run = resume(out, None, Silent())
    assert (run.folder / MODEL).read_bytes() == (straight.folder / MODEL).read_bytes()


def test_a_checkpoint_that_the_disk_does_not_take_leaves_the_one_before(
    broken_off: Path, straight: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    before = state(broken_off).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("rafm_bench.course.write_state", full)
        with pytest.raises(
            RunError, match=r"cannot write .*; the last checkpoint stays"
        ):
            resume(broken_off, None, Silent(), OFTEN)
    assert state(broken_off).read_bytes() == before
    assert_as_if_never_stopped(resume(broken_off, None, Silent()), straight)


def test_of_a_run_that_diverges_only_what_others_put_into_it_stays(
    broken_off: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: Any) -> None:
        raise Diverged("not finite")

    (broken_off / "notes.txt").touch()
    opened = nullcontext(engine.Engine(diverge))  # type: ignore[arg-type]
    monkeypatch.setattr("rafm_bench.fit.open_engine", lambda *_: opened)
    with pytest.raises(Diverged):
        resume(broken_off, None, Silent())
    assert [file.name for file in broken_off.iterdir()] == ["notes.txt"]
