"""The demo: all of it, small; and what it refuses to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rafm_bench import demo as demo_module
from rafm_bench.cli.program import main
from rafm_bench.demo import MARKER, take_over
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_small_demo_goes_the_whole_way_and_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_module, "N_ROWS", 3000)
    out = tmp_path / "demo"
    result = CliRunner().invoke(main, ["demo", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    assert f"The report with pictures is {out}/report.html" in result.stdout
    assert f"rafm-bench inspect {out}/data" in result.stdout
    page = (out / "report.html").read_text(encoding="utf-8")
    raw = out / "raw" / "clicks.tsv.gz"
    for command in (
        f"rafm-bench generate criteo --rows 3000 --seed 0 --out {raw}",
        f"rafm-bench prepare criteo {raw} --min-count 4 --out {out}/data",
        f"rafm-bench train {out}/data --model fm --ranks 64 ",
        f"rafm-bench compare {out}/runs/fm {out}/runs/rafm {out}/runs/lr --html {out}",
    ):
        assert command in page


def test_what_the_demo_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(UserError, match="left alone"):
        take_over(tmp_path)
    with pytest.raises(UserError, match="left alone"):
        take_over(tmp_path / "precious")
    assert (tmp_path / "precious").is_file()


def test_an_empty_folder_and_an_earlier_demo_are_taken_over(tmp_path: Path) -> None:
    take_over(tmp_path / "demo")
    (tmp_path / "demo" / "old").touch()
    take_over(tmp_path / "demo")
    assert sorted(file.name for file in (tmp_path / "demo").iterdir()) == [
        MARKER,
        "raw",
    ]
