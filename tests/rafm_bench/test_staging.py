"""Outputs appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rafm_bench.errors import UserError
from rafm_bench.staging import staged_file, staged_folder

if TYPE_CHECKING:
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
