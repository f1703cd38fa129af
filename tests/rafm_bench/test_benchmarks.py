"""The suites of airspeed velocity, which imports every module of their package."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks import check_theory, planted_changes, program, regimes, scaling
from rafm_bench.bench import publish, scaling_plots

TIMED = ("train", "score")
ROOT = Path(benchmarks.__path__[0]).parent

LISTING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"rafm_bench", "rafm_kernels", "rafm_datasets",
                                  "psutil", "numba", "distributed"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from asv_runner.discovery import _discover
_discover(("benchmarks", sys.argv[1]))
"""


def modules() -> list[str]:
    found = pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_every_module_can_be_imported_with_what_the_tests_install() -> None:
    names = modules()
    assert "benchmarks.prepare" in names
    for name in names:
        importlib.import_module(name)


def test_the_suites_are_listed_at_a_commit_that_lacks_what_they_measure(tmp_path):
    listed = tmp_path / "listed.json"
    subprocess.run(
        [sys.executable, "-c", LISTING, str(listed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    names = {one["name"].split(".")[0] for one in json.loads(listed.read_text())}
    suites = {"regimes", "scaling", "models", "prepare", "epochs", "quality", "cold"}
    assert names == suites  # nor is anything listed that is a script


@pytest.mark.parametrize("regime", regimes.REGIMES)
@pytest.mark.parametrize("m", regimes.LEVELS)
def test_the_page_draws_theory_for_the_sizes_that_the_suite_measures(regime, m):
    found = regimes.regime(regime, m)
    if found is None:
        pytest.skip("D_1 would be below 1")
    dims, sizes = found
    assert min(sizes) >= 1
    cost = sum(d * n for d, n in zip(dims, sizes, strict=True))
    whole = regimes.RANK * regimes.N_FEATURES
    assert scaling_plots.predicted(regime, m) == pytest.approx(cost / whole)


def test_everything_that_the_page_shows_by_name_is_in_the_suites():
    shown = [exponent.benchmark for exponent in publish.EXPONENTS]
    shown += [f"{name}.time_{what}" for name, *_ in publish.GROWTH for what in TIMED]
    for name in (*shown, *publish.REGIMES, publish.PARAMETERS):
        suite, group, method = name.split(".")
        module = importlib.import_module(f"benchmarks.{suite}")
        assert hasattr(getattr(module, group), method)


def test_exponents_by_theory_are_told_the_same_by_page_and_suite():
    told = {
        exponent.benchmark.removeprefix("scaling.Slopes.track_slope_in_"): (
            exponent.theory
        )
        for exponent in publish.EXPONENTS
    }
    for size, theory in scaling.THEORY.items():
        assert told[size] == theory


def test_what_is_stored_grows_exactly_as_proposition_1_says():
    for size in ("D", "|F|"):
        stored = scaling.Stored()
        stored.setup(size)
        assert stored.track_slope_of_embeddings(size) == pytest.approx(1, abs=1e-12)
        assert 0.99 < stored.track_slope_of_state_bytes(size) < 1


def test_a_command_that_prints_more_than_a_pipe_holds_ends(monkeypatch):
    code = "import sys, time; sys.stdout.write('x' * 300_000); time.sleep(0.5)"
    popen = subprocess.Popen

    def started(words, **options):
        return popen([sys.executable, "-c", code], **options)

    monkeypatch.setattr("subprocess.Popen", started)
    done = program.run("train")
    assert len(done.printed) == 300_000
    assert done.peak > 0
    assert done.peaks > 0


def test_a_process_that_has_ended_hides_no_other():
    most: dict[int, int] = {}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert program.tree_bytes([ended.pid, os.getpid()], most) > 0
    assert most[os.getpid()] > 0
    assert ended.pid not in most


def test_a_command_that_fails_is_told_with_its_exit_code():
    with pytest.raises(SystemExit, match="nothing ended with 2"):
        program.run("nothing")


@pytest.mark.parametrize(
    "plant", [planted_changes.SLOWER, planted_changes.LARGER, planted_changes.NOTHING]
)
def test_what_is_planted_still_fits_the_file(plant):
    assert (ROOT / plant.file).read_text(encoding="utf-8").count(plant.old) >= 1


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((1.5, 0.8, 0.9, 0.5), True),
        ((1.5, 0.8), True),  # m = 16: where D_k grows exponentially there is none
        ((0.85, 0.8, 0.9, 0.5), False),
        ((1.5, 0.8, 0.4, 0.5), False),
    ],
)
def test_regimes_are_in_order_where_both_mixed_ones_lie_between(costs, expected):
    named = dict(zip(regimes.REGIMES, costs, strict=False))
    assert check_theory._in_order(named) is expected


def test_every_regime_stores_what_proposition_1_says(capsys):
    assert check_theory.parameters()
    assert capsys.readouterr().out.count("holds") == 18
