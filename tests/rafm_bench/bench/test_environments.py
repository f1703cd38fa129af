"""Commits built in worktrees of a small repository; pip is not run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rafm_bench.bench import environments
from rafm_bench.bench.environments import build, commit_of, repository, uncommitted
from rafm_bench.errors import RunError, UserError
from rafm_bench.progress import Silent


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def no_other_repository(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # those of a hook that runs the tests


@pytest.fixture
def small(tmp_path):
    """Make a repository of two commits."""
    root = tmp_path / "small"
    (root / "rafm_bench").mkdir(parents=True)
    git(root.parent, "init", "--quiet", str(root))
    for text in ("1", "2"):
        (root / "asv.conf.json").write_text("{}")
        (root / ".gitignore").write_text("/.asv/\n")
        (root / "rafm_bench" / "code.py").write_text(text)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", text)
    return root


@pytest.fixture
def pip(monkeypatch):
    """Make environments that have the Python of the tests; list what is installed."""
    installed: list[list[str]] = []
    run = environments._run

    def stub(words: list[str], what: str) -> str:
        if words[1:3] == ["-m", "venv"]:
            python = Path(words[3], "bin", "python")
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            python.chmod(0o755)
        elif words[1:3] == ["-m", "pip"]:
            installed.append(words[3:])
        else:
            return run(words, what)
        return ""

    monkeypatch.setattr(environments, "_run", stub)
    return installed


def built(root: Path, name: str):
    return build(root, name, commit_of(root, name), Silent())


def test_each_commit_has_its_own_tree_and_environment(small, pip):
    old, new = built(small, "HEAD~1"), built(small, "HEAD")
    assert (old.source / "rafm_bench" / "code.py").read_text() == "1"
    assert (new.source / "rafm_bench" / "code.py").read_text() == "2"
    assert [words[-2:] for words in pip] == [
        [str(one.source), "asv_runner"] for one in (old, new)
    ]
    assert not uncommitted(small)


def test_a_commit_is_installed_once_and_loses_what_it_had_prepared(small, pip):
    scratch = built(small, "HEAD").scratch
    scratch.mkdir()
    (scratch / "suite-7.pickle").touch()
    assert built(small, "HEAD").scratch == scratch
    assert not scratch.exists()
    assert len(pip) == 1


@pytest.mark.parametrize("broken", ["another Python", "no Python", "half"])
def test_an_environment_that_is_not_of_this_python_is_built_anew(small, pip, broken):
    made = built(small, "HEAD")
    if broken == "another Python":
        (made.folder / "installed").write_text("2.7.18")
    elif broken == "no Python":
        made.python.unlink()
    else:
        (made.folder / "installed").unlink()
    (made.source / "rafm_bench" / "code.py").unlink()
    made = built(small, "HEAD")
    assert (made.source / "rafm_bench" / "code.py").exists()
    assert made.python.exists()
    assert len(pip) == 2


def test_what_pip_said_is_passed_on(small, monkeypatch, pip):
    stub = environments._run

    def failing(words: list[str], what: str) -> str:
        if words[1:3] == ["-m", "pip"]:
            words = [sys.executable, "-c", "import sys; sys.exit('no wheel')"]
        return stub(words, what)

    monkeypatch.setattr(environments, "_run", failing)
    with pytest.raises(RunError, match=r"cannot install HEAD \(\w{12}\): no wheel"):
        built(small, "HEAD")
    assert not (small / ".asv" / "compare" / "installed").exists()


def test_dirt_is_what_differs_and_new_code_but_no_other_new_file(small):
    assert uncommitted(small) == []
    (small / "notes.txt").touch()
    assert uncommitted(small) == []
    (small / "rafm_bench" / "new.py").touch()
    (small / "rafm_bench" / "code.py").write_text("3")
    assert uncommitted(small) == ["rafm_bench/code.py", "rafm_bench/new.py"]


def test_an_unknown_commit_is_refused_in_git_s_words(small):
    with pytest.raises(UserError, match=r"no commit 'nowhere' \(git rev-parse .*fatal"):
        commit_of(small, "nowhere")


def test_a_shallow_clone_is_told_how_to_get_its_history(small, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=1", small.as_uri(), "shallow")
    with pytest.raises(UserError, match="cut off: git fetch --unshallow"):
        commit_of(tmp_path / "shallow", "HEAD~1")


def test_a_place_without_checkout_is_refused_in_git_s_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"not in a checkout of rafm-bench.*not a git"):
        repository()


def test_the_checkout_is_found_from_below(small, monkeypatch):
    monkeypatch.chdir(small / "rafm_bench")
    assert repository() == small
