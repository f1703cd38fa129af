"""Comparing two commits by their benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rafm_bench.bench import compare, environments
from rafm_bench.bench.compare import Plan, compare_commits
from rafm_bench.bench.environments import Environment
from rafm_bench.errors import UserError
from rafm_bench.progress import Silent

SUITE = """
import time
import planted

class Sleep:
    params = [["same", "planted"]]
    param_names = ["which"]
    number = 1

    def setup_cache(self):
        return 0.004

    def time_sleep(self, seconds, which):
        time.sleep(seconds * (planted.FACTOR if which == "planted" else 1))

class Memory:
    def peakmem_planted(self):
        self.kept = bytearray(planted.MIB << 20)
        self.kept[::4096] = b"x" * len(self.kept[::4096])

    def peakmem_nothing(self):
        pass

class Track:
    def track_number(self):
        return planted.FACTOR

    def track_broken(self):
        if planted.FACTOR > 1:
            raise RuntimeError("it broke")
        return 1
"""


def commit(folder: Path, name: str, factor: float, mib: int) -> Environment:
    """Make what `build` makes: an interpreter that has one version of `planted`."""
    made = Environment(name, name * 10, folder / name)
    (made.source / "benchmarks").mkdir(parents=True)
    (made.source / "benchmarks" / "__init__.py").touch()
    (made.source / "benchmarks" / "suite.py").write_text(SUITE)
    library = made.folder / "library"
    library.mkdir()
    (library / "planted.py").write_text(f"FACTOR, MIB = {factor}, {mib}\n")
    made.python.parent.mkdir(parents=True)
    made.python.write_text(
        f'#!/bin/sh\nPYTHONPATH="{library}" exec "{sys.executable}" "$@"\n'
    )
    made.python.chmod(0o755)
    return made


@pytest.fixture
def two_commits(tmp_path, monkeypatch):
    made = {
        "old": commit(tmp_path, "old", 1, 1),
        "new": commit(tmp_path, "new", 3, 101),
    }
    monkeypatch.setattr(compare, "repository", lambda: tmp_path)
    monkeypatch.setattr(compare, "SECONDS_OF_SAMPLES", 0.02)
    monkeypatch.setattr(compare, "is_dirty", lambda _: False)
    monkeypatch.setattr(compare, "commit_of", lambda _, name: name)
    monkeypatch.setattr(compare, "build", lambda _, name, *rest: made[name])
    return made


def verdicts(found):
    return {
        (one["name"], *one["params"]): one.get("verdict") or one["error"]
        for one in found["benchmarks"]
    }


def test_a_planted_slowdown_and_more_memory_are_proven_and_only_there(two_commits):
    found = compare_commits(Plan("old", "new", "suite", pairs=3, samples=3), Silent())
    assert verdicts(found) == {
        ("suite.Sleep.time_sleep", "same"): "no difference shown",
        ("suite.Sleep.time_sleep", "planted"): "slower",
        ("suite.Memory.peakmem_planted",): "slower",
        ("suite.Memory.peakmem_nothing",): "no difference shown",
        ("suite.Track.track_number",): "slower",
        ("suite.Track.track_broken",): "fails at new: RuntimeError: it broke",
    }


def test_what_each_commit_was_measured_with_is_told(two_commits):
    found = compare_commits(Plan("old", "new", "number", pairs=3), Silent())
    assert found["base"]["commit"] == "old" * 10
    assert found["head"]["versions"].keys() >= {"python", "numpy", "numba"}


def test_a_suite_that_matches_nothing_names_the_suites(two_commits):
    with pytest.raises(UserError, match=r"matches no benchmark of new; .* are suite$"):
        compare_commits(Plan("old", "new", "nothing like it"), Silent())


def test_a_suite_that_is_no_regular_expression_is_refused(two_commits):
    with pytest.raises(UserError, match="not a regular expression"):
        compare_commits(Plan("old", "new", "("), Silent())


def test_a_dirty_tree_is_refused_unless_told(two_commits, monkeypatch):
    monkeypatch.setattr(compare, "is_dirty", lambda _: True)
    with pytest.raises(UserError, match=r"no commit holds.*--allow-dirty"):
        compare_commits(Plan("old", "new", "suite"), Silent())


def test_an_unknown_commit_and_a_place_without_checkout_are_refused(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not in a checkout of rafm-bench"):
        environments.repository()
    with pytest.raises(UserError, match="no commit 'nowhere'"):
        environments.commit_of(tmp_path, "nowhere")


def test_dirt_is_what_git_says(monkeypatch):
    said = SimpleNamespace(returncode=0, stdout=" M file\n", stderr="")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: said)
    assert environments.is_dirty(Path())
    said.stdout = ""
    assert not environments.is_dirty(Path())
