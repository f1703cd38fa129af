"""Experiments of the paper, run on tiny raw files in the layouts of the real ones."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_bench.config_file import make_config
from rafm_bench.errors import Interrupted
from rafm_bench.job import make_layout
from rafm_bench.progress import Silent
from rafm_bench.reproduce import gather
from rafm_bench.reproduce import reproduce as whole
from rafm_bench.reproduce.budget import Budget, fit_blocks, make_budget
from rafm_bench.reproduce.cells import (
    EXPERIMENTS,
    FIG4_SETS,
    FOLDER,
    TABLES,
    Cell,
    cells_of,
    sparse_cells,
)
from rafm_bench.reproduce.document import markdown_table
from rafm_bench.reproduce.gather import find, prepare_set
from rafm_bench.reproduce.paper import PAPER
from rafm_bench.reproduce.regimes import BOUNDS, LEVELS, LIMITS, cost, measured_by
from rafm_bench.reproduce.reproduce import Plan, reproduce
from rafm_bench.reproduce.results import Interval, interval
from rafm_bench.reproduce.section import Table
from rafm_bench.reproduce.sets import SETS, Protocol
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, judge_better
from rafm_bench.reproduce.work import Place, space_of
from rafm_bench.space import grid

TINY = Budget(
    name="small",
    seeds=(1, 2),
    epochs={"clean": 1, "clean-ratings": 1, "paper": 1, "sparse": 1},
    grids={
        "clean": {"learning_rate": (0.1,), "l2": (1e-5,)},
        "clean-ratings": {"learning_rate": (0.03, 0.06)},
        "paper": {"l2": (1e-6,)},
        "sparse": {"learning_rate": (0.1,)},
    },
    l1=(0.0,),
)
PROTOCOLS: tuple[Protocol, ...] = ("clean", "paper")
ALL_CELLS = [
    cell
    for experiment, sets in TABLES.items()
    for data_set in sets
    for protocol in PROTOCOLS
    for cell in cells_of(experiment, data_set, protocol)
] + [cell for name in FIG4_SETS for cell in sparse_cells(name, (0.0,))]


def plan(root: Path, out: Path, *experiments: str, paper: bool = False) -> Plan:
    protocols = PROTOCOLS if paper else PROTOCOLS[:1]
    return Plan(experiments, protocols, root, Place(out, TINY, 1))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of real samples; skips where it is not."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("RAFM_BENCH_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real samples are absent; set RAFM_BENCH_DATA to their folder")
    return folder


class StopsAfter:
    """A reporter that is interrupted once it was told of `n` runs that ended."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, note: str = ""
    ) -> None:
        """Tell nothing."""

    def say(self, text: str) -> None:
        """Count the runs that ended."""
        self.left -= "test RMSE" in text
        if not self.left:
            raise KeyboardInterrupt


def test_every_cell_has_a_file_of_options_and_every_file_is_a_cell() -> None:
    files = {cell.file for cell in ALL_CELLS}
    assert files == set(FOLDER.rglob("*.toml"))
    for file in files:
        config = make_config(file, {})
        assert file.name.startswith(config.model)


def test_every_printed_figure_belongs_to_a_cell() -> None:
    known = {(cell.data_set, cell.model) for cell in ALL_CELLS}
    assert {(name, model) for name, some in PAPER.items() for model in some} <= known


def test_a_cell_of_the_paper_protocol_is_that_of_the_authors_program() -> None:
    config = make_config(Cell("frappe", "rafm-64-256", "paper").file, {})
    assert (config.optimizer, config.learning_rate) == ("adam-dense", 1e-3)
    assert (config.l2_scope, config.projection) == ("all", "joint")
    assert (config.batch_size, config.blocks, config.thresholds) == (256, 1000, (64,))


def test_a_run_has_rows_a_report_and_a_verdict_for_each_claim(
    raw_ratings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    page = reproduce(plan(raw_ratings, out, "table3", paper=True), Silent())
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "ML-10M" in text
    assert "rafm-bench fetch ml-10m" in text
    assert text.count("not testable here") >= 3
    assert "RaFM 8,32 is better than FM 32 in RMSE" in text
    assert "(0.8016 ± 0.0010)" in text  # FM on ML-10M, which these ratings are like
    assert "still got better at the last epoch" in text
    assert "For ratings the bound is the triangle inequality" in text
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert 'src="http' not in html
    rows = pl.read_parquet(out / "results.parquet")
    assert rows.height == 2 * 4 * 2  # protocols, models, seeds
    assert set(rows["status"]) == {"done"}
    assert rows["all_rmse"].null_count() == 0
    clean = rows.filter(protocol="clean")
    assert clean["all_rmse"].to_list() == clean["test_rmse"].to_list()
    assert not list((out / "work" / "runs").rglob("*.safetensors"))


def test_what_is_done_is_not_run_again(raw_ratings: Path, tmp_path: Path) -> None:
    asked = plan(raw_ratings, tmp_path / "report", "table3")
    reproduce(asked, Silent())
    before = asked.place.store.read_bytes()
    (asked.place.out / "report.md").unlink()
    reproduce(asked, Silent())
    assert asked.place.store.read_bytes() == before
    assert (asked.place.out / "report.md").is_file()


def test_an_interrupted_run_goes_on_and_ends_with_the_same_figures(
    raw_ratings: Path, tmp_path: Path
) -> None:
    broken, straight = (plan(raw_ratings, tmp_path / name, "table3") for name in "ab")
    with pytest.raises(Interrupted, match="the same command goes on in"):
        reproduce(broken, StopsAfter(3))
    assert len(broken.place.rows()) == 3
    kept = [row["written_at"] for row in broken.place.rows()]
    reproduce(broken, Silent())
    reproduce(straight, Silent())
    rows = broken.place.rows()
    assert [row["written_at"] for row in rows[:3]] == kept
    for ours, theirs in zip(rows, straight.place.rows(), strict=True):
        for name in ("cell", "seed", "test_rmse", "learning_rate"):
            assert ours[name] == theirs[name]


def test_ctrl_c_is_told_with_what_goes_on(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(whole, "do_cell", interrupted)
    out = str(tmp_path / "report")
    words = ["reproduce", "table3", "--data-root", str(raw_ratings), "--out", out]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 130
    assert f"interrupted; the same command goes on in {out}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_without_raw_files_is_told_with_the_way_to_get_them(
    tmp_path: Path,
) -> None:
    words = ["reproduce", "table4", "--data-root", str(tmp_path), "--out", "report"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "holds no raw files" in result.stderr
    assert "rafm-bench fetch frappe" in result.stderr


def test_the_command_writes_the_report_and_says_where(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rafm_bench.reproduce.budget.make_budget", lambda name, seeds: TINY
    )
    out = tmp_path / "report"
    words = [
        "reproduce",
        "table3",
        "--protocol",
        "clean",
        "--data-root",
        str(raw_ratings),
    ]
    result = CliRunner().invoke(main, [*words, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.stderr
    assert (out / "report.html").is_file()


def test_the_pictures_of_the_markdown_are_files_beside_it(
    raw_ratings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    timed = [
        {
            "ranks": ranks,
            "sets": sets,
            "m": m,
            "theory": 1.0,
            "train": 1.0,
            "score": 1.0,
            **measured_by(),
        }
        for ranks, sets in BOUNDS
        for m in LEVELS
    ]
    (out / "work").mkdir(parents=True)
    (out / whole.REGIMES).write_text(json.dumps(timed))
    reproduce(plan(raw_ratings, out, "table1"), Silent())
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", (out / "report.md").read_text())
    assert (out / picture).read_text(encoding="utf-8").startswith("<svg")


def test_raw_files_are_found_plain_packed_and_in_parts(tmp_path: Path) -> None:
    folder = tmp_path / "frappe"
    folder.mkdir()
    assert find(SETS["frappe"], tmp_path) is None
    names = ["train-positives.exact", "train-negatives.resampled", "validation", "test"]
    for name in names:
        (folder / f"frappe_l.{name}.libfm.gz").touch()
    near = find(SETS["frappe"], tmp_path)
    assert near is not None
    assert near.choice.kind == "near"
    assert near.raw[0].count(",") == 1
    (folder / "frappe_l.train.libfm").touch()
    own = find(SETS["frappe"], tmp_path)
    assert own is not None
    assert own.choice.kind == "papers"


def test_a_small_budget_reads_the_first_lines_of_a_long_file_and_says_so(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "MOST_LINES", 401)
    out = tmp_path / "report"
    reproduce(plan(raw_ratings, out, "table3"), Silent())
    manifest = json.loads(
        (out / "work/data/ml-latest-small.small.counts-train/manifest.json").read_text()
    )
    assert sum(split["rows"] for split in manifest["splits"].values()) == 400
    assert "lines alone" in (out / "report.md").read_text(encoding="utf-8")


def test_a_run_is_made_again_by_the_command_of_the_report(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = plan(raw_ratings, tmp_path / "my report", "table3")
    text = reproduce(asked, Silent()).with_suffix(".md").read_text(encoding="utf-8")
    lines = [one for one in text.splitlines() if one.startswith("rafm-bench train")]
    assert len(lines) == len({row["cell"] for row in asked.place.rows()})
    words = shlex.split(lines[0].removeprefix("rafm-bench "))
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    first = asked.place.rows()[0]
    assert json.loads(result.stdout)["test"]["rmse"] == first["test_rmse"]


def test_an_interval_is_that_of_students_t() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert found is not None
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.303 / np.sqrt(3), rel=1e-6)
    assert interval([]) is None
    one = interval([0.5])
    assert one is not None
    assert one.half is None


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        (Interval(0.1, 0.01, 3), Interval(0.2, 0.01, 3), YES),
        (Interval(0.2, 0.01, 3), Interval(0.1, 0.01, 3), NO),
        (Interval(0.1, 0.06, 3), Interval(0.2, 0.06, 3), NO),
        (Interval(0.1, None, 1), Interval(0.2, 0.01, 3), OPEN),
        (None, Interval(0.2, 0.01, 3), OPEN),
    ],
    ids=["apart", "other way", "overlap", "one seed", "no run"],
)
def test_a_claim_of_quality_is_judged_by_intervals(
    ours: Interval | None, theirs: Interval, result: str
) -> None:
    assert judge_better("less", "here", ours, theirs, "lower").result == result


@pytest.mark.parametrize("name", ["small", "full"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_model_of_a_table_gets_the_same_number_of_trials(
    protocol: Protocol, name: str
) -> None:
    budget = make_budget(name, None)
    for experiment, sets in TABLES.items():
        for data_set in sets:
            counts = {
                cell.model: n_trials(cell, budget, ratings=experiment == "table3")
                for cell in cells_of(experiment, data_set, protocol)
            }
            of_lr = counts.pop("lr", None)
            (n,) = set(counts.values())
            assert n > 1
            # Under the paper's protocol L2 does not touch LR.
            assert of_lr in (None, n if protocol == "clean" else 1)


def test_every_model_of_figure_4_gets_the_same_number_of_trials() -> None:
    budget = make_budget("full", None)
    cells = sparse_cells("frappe", budget.l1)
    assert {n_trials(cell, budget, ratings=False) for cell in cells} == {3}


def n_trials(cell: Cell, budget: Budget, *, ratings: bool) -> int:
    """Count the trials of a cell's search, equal ones once."""
    space = space_of(cell, budget, ratings=ratings)
    options = {name: val for name, val in cell.options().items() if name not in space}
    return len(grid({**space}, options))


def test_budgets_have_seeds_of_their_own_number() -> None:
    assert len(make_budget("full", None).seeds) == 5
    assert make_budget("small", 4).seeds == (1, 2, 3, 4)


def test_blocks_shrink_where_as_many_would_be_over_three_passes() -> None:
    options = {"batch_size": 256, "blocks": 1000}
    assert fit_blocks(options, 200_000) == options
    assert fit_blocks(options, 50_000) == {"batch_size": 50, "blocks": 1000}
    assert fit_blocks(options, 500)["batch_size"] == 32
    assert fit_blocks({"batch_size": 256}, 10) == {"batch_size": 256}


def test_the_costs_of_table_1_stay_below_the_bounds_of_the_paper() -> None:
    for regime, bound in BOUNDS.items():
        for m in (1, 2, 4, 8):
            assert cost(*regime, m) <= LIMITS[bound](m) + 1e-9
    assert cost("linear", "linear", 8) == pytest.approx(9 * 10 / (6 * 8))


def test_a_markdown_table_keeps_the_bars_of_its_cells() -> None:
    table = Table(["a", "|F_k|"], [["x", "1"]])
    assert markdown_table(table).splitlines() == [
        "| a | \\|F_k\\| |",
        "| --- | --- |",
        "| x | 1 |",
    ]


def test_all_experiments_are_what_the_command_offers() -> None:
    assert whole.read_experiments("all") == EXPERIMENTS
    assert whole.read_experiments("fig3") == ("fig3",)


@pytest.mark.real_data
def test_ranks_64_and_256_on_frappe_have_the_parameters_of_the_paper(
    real_data: Path, tmp_path: Path
) -> None:
    found = find(SETS["frappe"], real_data)
    assert found is not None
    data = prepare_set(found, "paper", tmp_path, "small", Silent())
    printed = {"rafm-64-256": 705_671, "difacto-64-256": 616_711, "fm-256": 1_383_175}
    n_reserved, lowest = 2, {"fm-256": 256}  # null and rare, which the authors lack
    assert data.n_features == 5_382 + n_reserved
    for model, count in printed.items():
        config = make_config(Cell("frappe", model, "paper").file, {})
        layout = make_layout(config, data, Silent())
        more = n_reserved * (lowest.get(model, 64) + 1)
        assert layout.n_parameters == count + more
