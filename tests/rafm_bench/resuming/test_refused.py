"""What a run does not go on with: other options or data, and what was spoilt."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench import engine
from rafm_bench.errors import Diverged, Interrupted, RunError, UserError
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import CHECKPOINT, CONFIG, MODEL, Run
from rafm_bench.run_folder import STATE
from rafm_bench.tensor_file import open_tensors, write_tensors
from rafm_bench.train import train
from rafm_datasets import DataError, PreparedData, open_prepared
from tests.rafm_bench.resuming.conftest import (
    CONFIG_OF_ALL,
    OFTEN,
    Signals,
    assert_as_if_never_stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
