"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.exchange import export_model
from rafm_bench.model_file import load_model
from rafm_bench.run import MODEL

if TYPE_CHECKING:
    import pytest

    from rafm_bench.run import Run

README = Path(__file__).parents[2] / "README.md"


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of a language in the section of that heading."""
    sections = re.split(r"^## ", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = next(one for one in sections if one.startswith(heading + "\n"))
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found
    return found


def run_blocks(heading: str) -> dict[str, Any]:
    """Run the Python of a section, a block after the other; return its names."""
    names: dict[str, Any] = {}
    for block in blocks(heading, "python"):
        exec(compile(block, heading, "exec"), names)
    return names


def test_an_estimator_is_fitted_and_validated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = run_blocks("In scikit-learn")
    assert names["model"].predict(names["visits"][:2]).tolist() == ["yes", "no"]
    assert "['no' 'yes'] [[" in capsys.readouterr().out


def test_an_exported_model_is_read_with_numpy(
    rafm_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_model(load_model(rafm_run.folder / MODEL), tmp_path / "rafm.npz")
    names = run_blocks("Models for other programs")
    assert len(names["vector_of"]) == len(names["weights"])
