"""Comparing two commits by their benchmarks, and the page of scaling plots."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rafm_bench.bench import compare, environments, publish, results, worker
from rafm_bench.bench.compare import Plan, compare_commits
from rafm_bench.bench.environments import Environment
from rafm_bench.bench.scaling_plots import predicted
from rafm_bench.bench.verdicts import judge
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


def noisy(rng, factor=1.0, pairs=8, samples=8):
    """Samples of two commits: each process has a level of its own, and outliers."""

    def side(level):
        times = level * rng.normal(1, 0.02, samples)
        times[rng.integers(samples)] *= 1 + rng.exponential(1.0)
        return times.tolist()

    levels = rng.normal(1, 0.02, (pairs, 2))
    return [(side(base), side(factor * head)) for base, head in levels]


def test_no_change_is_never_taken_for_one_among_a_hundred_benchmarks():
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert judge(noisy(rng), 100, 1.1).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.3, "slower"), (0.7, "faster"), (1.05, None)]
)
def test_a_change_is_proven_when_it_is_above_the_threshold(factor, expected):
    rng = np.random.default_rng(2)
    found = [judge(noisy(rng, factor), 100, 1.1) for _ in range(20)]
    assert {one.verdict for one in found} == {expected or "no difference shown"}
    assert all(one.low <= one.ratio <= one.high for one in found)
    assert np.mean([one.ratio for one in found]) == pytest.approx(factor, rel=0.03)


def test_the_interval_is_wider_when_more_benchmarks_are_judged():
    pairs = noisy(np.random.default_rng(3))
    one, many = judge(pairs, 1, 1.1), judge(pairs, 1000, 1.1)
    assert many.low < one.low
    assert one.high < many.high


def test_the_interval_covers_the_true_ratio():
    rng = np.random.default_rng(4)
    judged = [judge(noisy(rng, 1.2, pairs=16), 1, 1.1) for _ in range(200)]
    covered = np.mean([one.low < 1.2 < one.high for one in judged])
    assert 0.9 <= covered <= 0.99


def test_pairs_that_agree_exactly_have_an_interval_of_one_point():
    found = judge([([2.0], [3.0])] * 4, 100, 1.1)
    assert (found.low, found.ratio, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_a_few_pairs_of_two_kinds_do_not_hide_a_change():
    pairs = [([300.0], [400.0])] * 3 + [([300.0], [400.1]), ([303.0], [400.0])]
    assert judge(pairs, 100, 1.1).verdict == "slower"


@pytest.mark.parametrize(
    ("after", "waited"),
    [
        ({"main": (1.0, 0.25)}, 0.25),
        ({"main": (1.0, 0.25), "helper": (0.9, 0.5), "idle": (0.0, 0.75)}, 0.5),
        ({str(n): (1.0, 0.25) for n in range(3)}, 0.0),
        ({}, 0.0),
    ],
    ids=["one thread", "the thread that waited longest", "more than cores", "unknown"],
)
def test_waiting_for_a_core_that_others_had_is_no_time_of_a_benchmark(
    monkeypatch, after, waited
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert worker._kept_waiting({"main": (0.0, 0.0)}, after, 1.25) == waited


def regimes_file(folder: Path) -> None:
    """Write results as asv does: each benchmark's columns, params as quoted text."""
    regimes = [
        f"{ranks} D_k, {sets} |F_k|"
        for ranks in ("linear", "exponential")
        for sets in ("linear", "exponential")
    ]
    levels = [1, 2, 4]
    params = [[f"'{r}'" for r in regimes], [str(m) for m in levels], ["'numba'"]]
    values = [predicted(r, m) for r, m in itertools.product(regimes, levels)]
    values[-1] = float("nan")
    machine = folder / ".asv" / "results" / "host"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text(json.dumps({"cpu": "a cpu", "num_cpu": "2"}))
    content = {
        "commit_hash": "abc" * 10,
        "date": 0,
        "result_columns": ["result", "params", "version"],
        "results": {
            "regimes.Regimes.time_score": [values, params, "1"],
            "scaling.Slopes.track_slope_in_rank": [
                [0.98],
                [["'score'"], ["'numba'"]],
                "1",
            ],
            "cold.Help.time_help": [[0.2], [], "1"],
        },
    }
    (machine / "abc-env.json").write_text(json.dumps(content))
    about = {
        "cold.Help.time_help": {"unit": "seconds", "param_names": []},
        "regimes.Regimes.time_score": {
            "unit": "seconds",
            "param_names": ["regime", "m", "backend"],
        },
        "version": 2,
    }
    (machine.parent / "benchmarks.json").write_text(json.dumps(about))


def test_the_page_shows_regimes_slopes_and_the_facts_of_the_machine(tmp_path):
    regimes_file(tmp_path)
    page = publish.scaling_page(results.newest(tmp_path))
    assert "Scoring time, numba" in page
    assert "Training time" not in page
    assert page.count("<svg") == 1
    assert "processor a cpu" in page
    assert "0.98" in page


def test_the_page_has_every_value_with_its_unit(tmp_path):
    regimes_file(tmp_path)
    page = publish.scaling_page(results.newest(tmp_path))
    assert "cold.Help.time_help, milliseconds: 200" in page
    assert '<th class="text">regime</th><th class="text">m</th>' in page
    assert page.count('<td class="text">numba</td>') == 11 + 2  # slopes stand twice


def test_skipped_points_are_left_out(tmp_path):
    regimes_file(tmp_path)
    found = results.newest(tmp_path).of("regimes.Regimes.time_score", backend="numba")
    assert len(found) == 11


def test_pages_without_results_say_how_to_measure(tmp_path):
    with pytest.raises(UserError, match="holds no results; measure some"):
        results.newest(tmp_path)


@pytest.mark.parametrize(
    ("regime", "m", "expected"),
    [
        ("linear D_k, linear |F_k|", 2, 0.5 * 1 + 1 * 0.5),
        ("linear D_k, exponential |F_k|", 2, 0.5 * 1 + 1 * 0.5),
        ("exponential D_k, exponential |F_k|", 4, 4 * 2**-3),
    ],
)
def test_predicted_cost_is_the_sum_of_table_1(regime, m, expected):
    assert predicted(regime, m) == pytest.approx(expected)


def test_dirt_is_what_git_says(monkeypatch):
    said = SimpleNamespace(returncode=0, stdout=" M file\n", stderr="")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: said)
    assert environments.is_dirty(Path())
    said.stdout = ""
    assert not environments.is_dirty(Path())
