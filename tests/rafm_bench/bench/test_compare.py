"""Comparing two commits by their benchmarks, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rafm_bench.bench import compare
from rafm_bench.bench.compare import Plan, compare_commits
from rafm_bench.errors import RunError, UserError
from rafm_bench.lock import locked
from rafm_bench.progress import Silent


class Remarks(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def compared(suite: str, report: Silent | None = None, pairs: int = 3):
    plan = Plan("old", "new", suite, pairs=pairs, samples=2)
    return compare_commits(plan, report or Silent())


def outcomes(found):
    return {
        " ".join([one["name"].split(".")[-1], *one["params"]]): one.get("verdict")
        or one["error"]
        for one in found["benchmarks"]
    }


def test_a_planted_slowdown_and_more_memory_are_proven_and_only_there(two_commits):
    found = compared("Work|Memory|loss|same")
    assert outcomes(found) == {
        "time_work same": "no difference shown",
        "time_work planted": "slower",
        "peakmem_planted": "slower",
        "track_tree": "slower",
        "track_loss": "slower",
        "track_same": "no difference shown",
    }
    assert found["worse"]


def test_nothing_worse_is_told_as_such(two_commits):
    assert not compared("same")["worse"]


def test_what_fails_at_head_alone_is_worse_and_all_else_is_judged(two_commits):
    found = compared("Broken|Hanging|not_finite|track_same")
    assert outcomes(found) == {
        "track_new": "fails at new: RuntimeError: it broke",
        "track_old": "fails at old: RuntimeError: it broke",
        "track_both": "fails at both: RuntimeError: it broke",
        "track_dying": "fails at new: its process ended with code 7 at sample; run it "
        "by asv to see why",
        "track_skipped": "skipped",
        "track_hanging": "fails at new: no answer within 4 s",
        "track_not_finite_at_new": "fails at new: its value is nan",
        "track_same": "no difference shown",
    }
    broken = {
        one["name"].split("_")[1] for one in found["benchmarks"] if one.get("broken")
    }
    assert broken == {"new", "dying", "hanging", "not"}
    assert found["worse"]


def test_what_fails_at_base_alone_is_not_worse(two_commits):
    assert not compared("track_old|track_both|skipped|track_same")["worse"]


@pytest.mark.parametrize(
    ("suite", "why"), [("both", "RuntimeError: it broke"), ("skipped", "skipped")]
)
def test_nothing_judged_at_all_is_a_failure(two_commits, suite, why):
    with pytest.raises(RunError, match=f"none of 1 benchmarks.*{why}"):
        compared(suite)


def test_a_suite_that_cannot_be_imported_is_a_failure(two_commits):
    (two_commits["new"].source / "benchmarks" / "suite.py").write_text("1 / 0")
    with pytest.raises(RunError, match="new cannot tell its list: ZeroDivisionError"):
        compared("same")


def test_what_each_commit_was_measured_with_is_told(two_commits):
    found = compared("same")
    assert found["base"]["commit"] == "old" * 10
    assert found["head"]["versions"].keys() >= {"python", "numpy", "numba"}


def test_packages_that_differ_are_warned_of(monkeypatch):
    report = Remarks()
    old, new = ({"name": n, "versions": {"numpy": n}} for n in ("1", "2"))
    compare._warn_of_versions(old, new, report)
    assert "1 and 2 have different packages (numpy 1 and 2)" in report.said[0]
    compare._warn_of_versions(old, old, report)
    assert len(report.said) == 1


def test_how_long_it_takes_is_told_after_the_first_pair(two_commits):
    report = Remarks()
    compared("same", report)
    assert report.said[0].startswith("pair 1 of 3 is done; the others take about ")


def test_a_suite_that_matches_nothing_names_the_suites(two_commits):
    with pytest.raises(UserError, match=r"matches no benchmark of new; .* are suite$"):
        compared("nothing like it")


def test_a_suite_that_is_no_regular_expression_is_refused(two_commits):
    with pytest.raises(UserError, match="not a regular expression"):
        compared("(")


def test_a_dirty_tree_is_refused_unless_told(two_commits, monkeypatch):
    monkeypatch.setattr(compare, "uncommitted", lambda _: ["a.py", "b.py"])
    with pytest.raises(UserError, match=r"no commit holds \(a.py, b.py\).*--allow-dir"):
        compared("same")
    compare._refuse_dirt(Path(), Plan("old", "new", "same", allow_dirty=True))


def test_a_second_comparison_is_refused_while_one_runs(two_commits, tmp_path):
    (tmp_path / ".asv" / "compare").mkdir(parents=True)
    with (
        locked(tmp_path / ".asv" / "compare" / "lock"),
        pytest.raises(UserError, match=r"process \d+ on .* compares commits here"),
    ):
        compared("same")
