"""The page of scaling plots."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from rafm_bench.bench import publish, results
from rafm_bench.bench.scaling_plots import predicted
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


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
