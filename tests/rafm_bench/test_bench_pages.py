"""The page of scaling plots: failures, exponents, what it was measured with."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench.bench import libraries, publish, results
from rafm_bench.bench.scaling_plots import growth_plot, regime_plot
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef" * 2
BACKENDS = ["'numba'"]


def write_results(
    root: Path, found: dict[str, Any], about: dict[str, Any], commit: str = COMMIT
) -> Path:
    """Write results as asv does: columns, those at the end left out where empty."""
    folder = root / ".asv" / "results" / "host"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "commit_hash": commit,
        "date": 0,
        "result_columns": ["result", "params", "version"],
        "results": found,
    }
    (folder / f"{commit[:8]}-env.json").write_text(json.dumps(content))
    (folder.parent / "benchmarks.json").write_text(json.dumps({**about, "version": 2}))
    return folder


def about(*params: str, unit: str = "seconds") -> dict[str, Any]:
    return {"unit": unit, "param_names": list(params)}


def test_a_benchmark_that_failed_whole_is_named_and_breaks_no_page(tmp_path):
    write_results(
        tmp_path,
        {
            "models.Score.time_score": [None, [["'fm'"], BACKENDS], "1"],
            "regimes.Regimes.time_score": [None, [["'r'"], ["1"], BACKENDS], "1"],
            "cold.Help.time_help": [],
            "cold.Import.time_import": [[0.25], [["'rafm_bench'"]], "1"],
        },
        {},
    )
    measured = results.newest(tmp_path)
    assert measured.failed == (
        "models.Score.time_score",
        "regimes.Regimes.time_score",
        "cold.Help.time_help",
    )
    page = publish.scaling_page(measured)
    assert "<li>models.Score.time_score</li>" in page
    assert "0.25" in page


def test_a_parameter_that_failed_is_named_and_a_skipped_one_is_not(tmp_path):
    write_results(
        tmp_path,
        {
            "models.Score.time_score": [
                [None, 2.0, float("nan")],
                [["'lr'", "'fm'", "'ffm'"], BACKENDS],
                "1",
            ]
        },
        {},
    )
    measured = results.newest(tmp_path)
    assert measured.failed == ("models.Score.time_score(lr, numba)",)
    assert measured.points["models.Score.time_score"] == ((("fm", "numba"), 2.0),)


def test_without_failures_the_page_has_no_such_section(tmp_path):
    write_results(tmp_path, {"cold.Help.time_help": [[0.2], [], "1"]}, {})
    assert "Failed" not in publish.scaling_page(results.newest(tmp_path))


def test_points_are_found_by_the_name_of_a_parameter(tmp_path):
    name = "models.Score.time_score"
    values = [[1.0, 2.0, 3.0, 4.0], [["'a'", "'b'"], ["'a'", "'b'"]], "1"]
    write_results(tmp_path, {name: values}, {name: about("model", "backend")})
    measured = results.newest(tmp_path)
    assert measured.of(name, model="b") == [(("b", "a"), 3.0), (("b", "b"), 4.0)]
    assert measured.of(name, backend="b") == [(("a", "b"), 2.0), (("b", "b"), 4.0)]
    assert measured.of(name, model="a", backend="b") == [(("a", "b"), 2.0)]


def test_libraries_are_those_that_were_recorded_last_for_the_commit(tmp_path):
    folder = write_results(tmp_path, {"cold.Help.time_help": [[0.2], [], "1"]}, {})
    page = publish.scaling_page(results.newest(tmp_path))
    assert "What it was measured with was not recorded." in page
    libraries.record(folder, COMMIT, {"numba": "0.1"})
    libraries.record(folder, COMMIT, {"numba": "0.2", "tree": "0123-dirty"})
    libraries.record(folder, "f" * 32, {"numba": "0.3"})
    page = publish.scaling_page(results.newest(tmp_path))
    assert "Measured with numba 0.2, tree 0123-dirty." in page


def test_what_measured_is_recorded_beside_the_results_written_last(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("rafm_bench.bench.environments.repository", lambda: tmp_path)
    with pytest.raises(UserError, match="holds no results"):
        libraries.main()
    folder = write_results(tmp_path, {}, {})
    os.utime(folder / f"{COMMIT[:8]}-env.json", (1, 1))
    write_results(tmp_path, {}, {}, commit="f" * 32)
    libraries.main()
    assert libraries.recorded(folder, "f" * 32).keys() >= {"numba", "numpy", "python"}
    assert libraries.recorded(folder, COMMIT) == {}


def test_exponents_stand_beside_theory_with_or_without_parameters(tmp_path):
    what = [["'score'"], BACKENDS]
    write_results(
        tmp_path,
        {
            "scaling.Slopes.track_slope_in_features": [[0.25], what, "1"],
            "scaling.SlopesOfTurns.track_slope_in_threads": [[-0.75], [], "1"],
            "scaling.Stored.track_slope_of_embeddings": [[1.0], [["'|F|'"]], "1"],
        },
        {},
    )
    slopes = publish._slopes(results.newest(tmp_path))
    assert [tuple(one) for one in slopes] == [
        ("time: score", "|F|", "numba", 0, 0.25),
        ("time: train batches of 1,024, numba-parallel", "threads", "", -1, -0.75),
        ("embeddings", "|F|", "", 1, 1.0),
    ]


def drawn_points(line) -> list[tuple[float, float]]:
    """Return what a line of a plot goes through."""
    return [(float(x), float(y)) for x, y in line.get_xydata()]


def growth(root: Path, sizes: dict[str, list[float]]) -> results.Measured:
    found, names = {}, {}
    for what, values in sizes.items():
        name = f"scaling.Rank.time_{what}"
        texts = [f"{size:g}" for size in values]
        found[name] = [[size / 1e3 for size in values], [texts, BACKENDS], "1"]
        names[name] = about("D", "backend")
    write_results(root, found, names)
    return results.newest(root)


def test_theory_goes_through_the_largest_size_whatever_the_order(tmp_path):
    measured = growth(tmp_path, {"train": [500, 8, 120]})
    drawn = growth_plot(measured, [("scaling.Rank", "D", 1.0)], "numba")
    theory, points = drawn.axes[0].get_lines()
    assert [size for size, _ in drawn_points(theory)] == [8, 120, 500]
    np.testing.assert_allclose(drawn_points(theory), drawn_points(points))


def test_all_sizes_have_ticks_though_one_of_the_times_failed(tmp_path):
    measured = growth(tmp_path, {"train": [8, 120, 500], "score": [8]})
    drawn = growth_plot(measured, [("scaling.Rank", "D", 1.0)], "numba")
    assert list(drawn.axes[0].get_xticks()) == [8, 120, 500]


def test_regimes_without_a_first_level_are_relative_to_their_least(tmp_path):
    name, regime = "regimes.Regimes.time_score", "linear D_k, linear |F_k|"
    params = [[f"'{regime}'"], ["1", "2", "4"], BACKENDS]
    write_results(
        tmp_path,
        {name: [[None, 3.0, 6.0], params, "1"]},
        {name: about("regime", "m", "backend")},
    )
    drawn = regime_plot(results.newest(tmp_path), name, backend="numba")
    theory, seen = drawn.axes[0].get_lines()
    assert drawn_points(theory) == [(2, 1.0), (4, pytest.approx(1.25))]
    assert drawn_points(seen) == [(2, 1.0), (4, 2.0)]
    assert drawn.axes[0].get_ylabel() == "times that of the least m"
