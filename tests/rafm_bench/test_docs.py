"""The pages of docs/: their commands run as they stand, their links lead somewhere."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.rafm_bench.test_command_line import run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each block of a page, in order."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a block, comments left out."""
    return [words for line in text.splitlines() if (words := shlex.split(line, True))]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(kind == "sh" for kind, _ in blocks(page))],
    ids=lambda page: page.stem,
)
def test_the_commands_of_a_page_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for kind, text in blocks(page):
        if kind == "python":
            exec(compile(text, page.name, "exec"), names)
        for program, *words in commands(text) if kind == "sh" else []:
            assert program == "rafm-bench"
            code, _, stderr = run(*words)
            assert code == 0, f"{shlex.join(words)}: {stderr}"


def test_the_example_of_a_backend_is_the_one_that_is_tested():
    example, suite = (
        text for kind, text in blocks(DOCS / "backends.md") if kind == "python"
    )
    kept = ROOT / "tests" / "kernels" / "example_backend.py"
    assert example == kept.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(suite.replace("import example_backend\n", ""), names)
    assert callable(names["test_example_backend"])


def test_the_example_of_a_benchmark_runs_with_all_its_parameters():
    example = next(t for kind, t in blocks(DOCS / "performance.md") if kind == "python")
    names: dict[str, Any] = {}
    exec(example, names)
    suite = names["Bags"]()
    kept = suite.setup_cache()
    for params in itertools.product(*suite.params):
        suite.setup(kept, *params)
        suite.time_train(kept, *params)
        suite.time_score(kept, *params)
        assert suite.case.batch.n_rows == 20_000 // params[0]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_to_other_files_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    trees = re.findall(
        r"\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL
    )
    listed = {line for tree in trees for line in tree.split() if ":" not in line}
    assert {page.stem for page in PAGES} - {"index"} <= listed
