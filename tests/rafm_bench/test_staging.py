"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from rafm_bench.errors import RunError, UserError
from rafm_bench.model_file import SavedModel, save_model
from rafm_bench.staging import staged_file, staged_folder
from rafm_kernels import init_parameters, make_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


def test_a_staged_folder_appears_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with staged_folder(out) as folder:
        (folder / "a").write_text("1", encoding="ascii")
        assert not out.exists()
    assert [file.name for file in out.iterdir()] == ["a"]
    assert [file.name for file in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "out"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="exists already"), staged_folder(out):
        out.mkdir()
    assert list(tmp_path.iterdir()) == [out]


def fail_at(file: Path) -> None:
    with staged_file(file) as temporary:
        temporary.write_text("new", encoding="ascii")
        raise RuntimeError


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old", encoding="ascii")
    with pytest.raises(RuntimeError):
        fail_at(file)
    assert file.read_text(encoding="ascii") == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("stage", [staged_file, staged_folder])
def test_a_place_that_cannot_be_written_is_the_users_to_mend(
    stage: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    with (
        pytest.raises(UserError, match=r"cannot write .*file/out: .*; choose another"),
        stage(tmp_path / "file" / "out"),
    ):
        pass


def test_a_model_that_the_disk_does_not_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.fsync", full)
    model = make_model("fm", [2, 1], (2,), loss="log")
    saved = SavedModel(model, init_parameters(model, 0), "")
    with pytest.raises(RunError, match=r"cannot write .*/m: No space .*; free some"):
        save_model(tmp_path / "m", saved)
    assert list(tmp_path.iterdir()) == []
