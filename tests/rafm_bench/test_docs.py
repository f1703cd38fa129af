"""README and docs/: what they show runs as it stands, their links lead somewhere."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from rafm_bench.cli.program import COMMANDS, main
from rafm_bench.reproduce.sets import SETS
from tests.rafm_bench.raw_files import write_raw_files
from tests.rafm_bench.test_command_line import run
from tests.rafm_bench.test_reproduce import TINY

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = ("rafm-bench", "make", "pip", "python")

NOT_RUN = {
    r"make ": "installs an environment, then runs what the makefile says",
    r"pip install ": "installs into the environment that the tests run in",
    r"rafm-bench fetch ": "downloads; test_fetch.py does so from a server of its own",
    r"rafm-bench .*--scheduler tcp:": "the address of somebody's cluster; "
    "test_shards_on_dask.py starts one",
    r"rafm-bench bench ": "builds environments, or pages of past measurements; "
    "test_bench.py runs its parts",
}
"""Commands that are shown and not run, each with its reason; their words are parsed."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each block of a page, in order."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def commands(kind: str, text: str) -> list[str]:
    """Return the commands of a block that is not in Python, or a config file.

    In a console's, they are the lines after a `$`.
    """
    lines = text.splitlines() if kind in ("sh", "console", "text") else []
    if kind == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    elif kind == "text":  # layouts of folders, output, code that is not for here
        lines = [line for line in lines if line.split(" ")[0] in PROGRAMS]
    return [line for line in lines if shlex.split(line, comments=True)]


def is_run(command: str) -> bool:
    """Tell whether a command can be run here."""
    return not any(re.match(pattern, command) for pattern in NOT_RUN)


def parse(words: list[str]) -> None:
    """Parse the words of a command and run nothing."""
    command: click.Command | None = main
    context = None
    while isinstance(command, click.Group):
        context = command.make_context(None, list(words), parent=context)
        _, command, words = command.resolve_command(context, words)
    assert command is not None
    command.make_context(None, list(words), parent=context)


def columns(text: str) -> list[str]:
    """Return the names of the columns of the tables that a console shows."""
    lines = text.splitlines()
    under = [n for n, line in enumerate(lines) if set(line.strip()) == {"─"}]
    return [word for n in under for word in lines[n - 1].split()]


def few_blocks(options: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """Stand in for `fit_blocks`: epochs of the paper's program are a thousand steps."""
    return options | {"blocks": min(options.get("blocks", 0), 4)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of raw files, with experiments of the least size."""
    monkeypatch.chdir(tmp_path)
    write_raw_files(tmp_path)
    for constant in ("N_ROWS", "N_FEATURES"):
        monkeypatch.setattr(f"rafm_bench.reproduce.regimes.{constant}", 128)
    monkeypatch.setattr("rafm_bench.reproduce.regimes.TURNS", 1)
    monkeypatch.setattr("rafm_bench.reproduce.gather.PLANTED_ROWS", {"small": 400})
    monkeypatch.setattr("rafm_bench.reproduce.work.fit_blocks", few_blocks)
    monkeypatch.setattr(
        "rafm_bench.reproduce.budget.make_budget",
        lambda name, n: replace(TINY, name=name, seeds=TINY.seeds[: n or 1]),
    )
    monkeypatch.setattr("rafm_bench.memory_plan.give_back_memory", lambda: None)
    return tmp_path


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_what_a_page_shows_runs_in_its_order(page: Path, here: Path) -> None:
    names: dict[str, Any] = {}
    for kind, text in blocks(page):
        if kind == "python" and page.stem != "backends":  # that has a test of its own
            exec(compile(text, page.name, "exec"), names)
        printed = ""
        for command in commands(kind, text):
            program, *words = shlex.split(command, comments=True)
            if is_run(command):
                assert program == "rafm-bench"
                code, stdout, stderr = run(*words)
                assert code == 0, f"{command}: {stderr}"
                printed += stdout
            elif program == "rafm-bench":
                parse(words)
        for name in columns(text) if kind == "console" else []:
            assert name in printed.split(), f"{name} is a column shown, not printed"


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    shown = [
        command
        for page in (README, *PAGES)
        for kind, text in blocks(page)
        for command in commands(kind, text)
    ]
    assert len(shown) > 80
    for pattern in NOT_RUN:
        assert any(re.match(pattern, command) for command in shown), pattern


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_commands_within_sentences_can_be_typed(page: Path, here: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for command in re.findall(r"`rafm-bench ([^`]+)`", text):
        words = shlex.split(command)
        assert words[0] in COMMANDS
        if len(words) > 1:
            parse(words)


def test_the_messages_that_questions_quote_are_those_of_the_program() -> None:
    text = "".join(
        file.read_text(encoding="utf-8")
        for package in ("rafm_bench", "kernels", "datasets")
        for file in (ROOT / package).rglob("*.py")
    )
    said = re.sub(r'"\s*\n\s*f?"', "", text)  # a sentence over several lines
    quoted = re.findall(r'"([^"]+)"', (DOCS / "faq.md").read_text(encoding="utf-8"))
    assert len(quoted) > 8
    for sentence in quoted:
        for part in re.split(r"\s*\.\.\.\s*", sentence):
            assert part in said, f"{part!r} of {sentence!r}"


@pytest.mark.parametrize("name", [name for name in SETS if name != "planted"])
def test_the_table_of_data_sets_names_the_files_of_experiments(name: str) -> None:
    wanted = SETS[name].choices[0].raw[0]
    assert f"`{wanted}`" in (DOCS / "data-sets.md").read_text(encoding="utf-8")


def headings(page: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


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
    targets = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r'src="([^"]+)', text)
    for target in targets:
        if "://" not in target:
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), target
            assert not anchor or anchor in headings(file), target


def test_every_page_is_in_the_navigation() -> None:
    trees = re.findall(
        r"\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL
    )
    listed = {line for tree in trees for line in tree.split() if ":" not in line}
    assert {page.stem for page in PAGES} - {"index"} <= listed
    assert not {"search", "genindex"} & listed, "Sphinx has pages of these names itself"
