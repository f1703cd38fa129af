"""Raw files written to while they are read, or between a run and its resumption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DataError, PrepareOptions, open_prepared, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = "".join(f"{n}::{n % 7}::3::97\n" for n in range(3000))


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (2000, 2000))
    file = tmp_path / "ratings.dat"
    file.write_text(ROWS)
    return file


def grow(raw: Path) -> None:
    with raw.open("a") as file:
        file.write("1::2::3::97\n" * 400)


def grow_by_half_a_row(raw: Path) -> None:
    with raw.open("a") as file:
        file.write("1::2")


def shrink(raw: Path) -> None:
    with raw.open("r+") as file:
        file.truncate(len(ROWS) // 3)


def vanish(raw: Path) -> None:
    raw.unlink()


def rewrite(raw: Path) -> None:
    raw.write_text(ROWS.replace("::3::", "::4::"))


CHANGES = [grow, grow_by_half_a_row, shrink, vanish, rewrite]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: Callable[[Path], None], raw: Path, tmp_path: Path
) -> None:
    options = PrepareOptions("movielens", (str(raw),), str(tmp_path / "out"), threads=1)
    changed = False

    def meanwhile(stage: str, *_: object) -> None:
        nonlocal changed
        if stage == "parse" and not changed:
            changed = True
            change(raw)

    with pytest.raises(DataError, match=r"ratings\.dat .*; .*") as caught:
        prepare(options, meanwhile)
    assert "\n" not in str(caught.value)
    assert "changed while it was read" in str(caught.value)
    with pytest.raises(DataError):
        open_prepared(tmp_path / "out")


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_is_not_resumed_with_a_file_that_changed_since(
    change: Callable[[Path], None], raw: Path, tmp_path: Path
) -> None:
    options = PrepareOptions("movielens", (str(raw),), str(tmp_path / "out"), threads=1)

    def stop(stage: str, *_: object) -> None:
        if stage == "encode":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(options, stop)
    change(raw)
    expected = "there is no file" if change is vanish else "files that changed since"
    with pytest.raises(DataError, match=expected):
        prepare(options)
