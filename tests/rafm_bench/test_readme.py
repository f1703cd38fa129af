"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of a language in the section of that heading."""
    sections = re.split(r"^## ", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = next(one for one in sections if one.startswith(heading + "\n"))
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("heading", ["In scikit-learn"])
def test_the_python_blocks_of_a_section_run(
    heading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = blocks(heading, "python")
    assert shown
    for block in shown:
        exec(compile(block, heading, "exec"), {})
    assert "['no' 'yes'] [[" in capsys.readouterr().out
