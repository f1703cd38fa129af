"""`rafm-bench bench compare` as it is typed: what it prints, and its exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rafm_bench.bench import compare
from rafm_bench.cli import main
from rafm_bench.errors import RunError

WORKFLOW = Path(__file__).parents[3] / ".github" / "workflows" / "benchmarks.yml"


def ratio(name, kind, unit, base, head, verdict):
    found = {"name": name, "params": ["a"], "kind": kind, "unit": unit, "base": base}
    limits = {"ratio": head / base, "low": head / base, "high": head / base}
    return found | {"head": head, "verdict": verdict} | limits


def failure(name, error, *, broken):
    told = {"name": name, "params": [], "kind": "time", "unit": "seconds"}
    return told | {"error": error, "fails_at": [], "broken": broken}


RATIOS = [
    ratio("suite.time_slow", "time", "seconds", 0.2, 0.4, "slower"),
    ratio("suite.time_bit", "time", "seconds", 2.0, 2.1, "slightly slower"),
    ratio("suite.time_same", "time", "seconds", 2.0, 2.0, "no difference shown"),
    ratio("suite.peakmem", "peakmemory", "bytes", 2**28, 2**27, "faster"),
    ratio("suite.track_tree", "track", "bytes", 2**28, 2**29, "slower"),
    ratio("suite.track_loss", "track", "unit", 0.4, 0.3999, "slightly faster"),
    failure("suite.gone", "fails at new: it broke", broken=True),
    failure("suite.skipped", "skipped", broken=False),
]


@pytest.fixture
def measured(monkeypatch):
    """Make the command find what a test says."""
    found = {
        "base": {"name": "old", "commit": "a" * 40, "versions": {"numpy": "1"}},
        "head": {"name": "new", "commit": "b" * 40, "versions": {"numpy": "2"}},
        "versions": {"processor": "a cpu"},
        "cores": 2,
        "pairs": 16,
        "threshold": 1.1,
        "worse": False,
        "benchmarks": RATIOS,
    }
    monkeypatch.setattr(compare, "compare_commits", lambda *_: found)
    return found


def run(*words):
    done = CliRunner().invoke(main, ["bench", "compare", "old", "new", *words])
    return done.exit_code, done.stdout


def row(text, name):
    (line,) = (line for line in text.splitlines() if f".{name}" in line)
    return " ".join(line.split())


def test_what_changed_is_shown_in_its_unit_and_word(measured):
    text = run()[1]
    assert (
        row(text, "time_slow") == "suite.time_slow(a) 200 ms 400 ms 2.000 "
        "2.000 to 2.000 slower"
    )
    assert row(text, "time_bit").endswith(
        "2 s 2.1 s 1.050 1.050 to 1.050 slightly slower"
    )
    assert row(text, "peakmem").endswith("256 MiB 128 MiB 0.500 0.500 to 0.500 less")
    assert row(text, "track_tree").endswith("256 MiB 512 MiB 2.000 2.000 to 2.000 more")
    assert row(text, "track_loss").endswith("slightly less")
    assert row(text, "gone") == "suite.gone: fails at new: it broke"


def test_the_rest_is_shown_on_demand(measured):
    assert "time_same" not in run()[1]
    assert "suite.skipped" not in run()[1]
    assert row(run("--all")[1], "time_same").endswith("no difference shown")
    assert "suite.skipped: skipped" in run("--all")[1]


def test_the_machine_and_both_commits_packages_are_told_on_a_line(measured):
    assert "\na cpu, 2 cores; numpy 1 against numpy 2\n" in run()[1]
    measured["base"]["versions"] = measured["head"]["versions"]
    assert "\na cpu, 2 cores; numpy 2\n" in run()[1]


def test_the_summary_counts_verdicts_and_what_broke(measured):
    summary = " ".join(run()[1].split())
    assert summary.endswith(
        f"{'a' * 12} -> {'b' * 12}: of 6 benchmarks 2 slower (or more) beyond the "
        "threshold, 1 faster (or less), 1 slightly slower, 1 slightly faster, 1 with "
        "no difference shown; 1 more ran at old and failed at new"
    )


def test_the_workflow_looks_for_the_summary(measured):
    (pattern,) = re.findall(r"grep -q '(.*)' compared", WORKFLOW.read_text())
    assert re.search(pattern, run()[1], re.MULTILINE)


@pytest.mark.parametrize("worse", [False, True])
def test_the_exit_code_says_whether_head_is_worse(measured, worse):
    measured["worse"] = worse
    assert run()[0] == int(worse)
    code, text = run("--json")
    assert code == int(worse)
    assert json.loads(text)["worse"] == worse


def test_a_failure_to_measure_prints_no_summary(monkeypatch):
    def fail(*_):
        raise RunError("cannot install new: no wheel")

    monkeypatch.setattr(compare, "compare_commits", fail)
    assert run() == (1, "")
