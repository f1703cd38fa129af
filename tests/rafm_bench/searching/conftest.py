"""A search that ended, and the way to make one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_bench.progress import Silent
from rafm_bench.search import Search, make_search
from rafm_bench.space import read_space
from rafm_bench.store import read_store
from rafm_bench.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import PreparedData

GRIDS = ("learning-rate=0.02,0.1,1e30", "ranks=2:4,2:8")
WHAT_COUNTS = ("run", "status", "error", "valid_log_loss", "test_log_loss", "l2")


def search_of(
    data: PreparedData, out: Path, *grids: str, keep_models: bool = False
) -> Search:
    shared = {"epochs": 2, "batch_size": 64}
    space = read_space(grids or GRIDS)
    return make_search(data, out, space, shared, keep_models=keep_models)


def rows_of(search: Search) -> list[dict[str, Any]]:
    return read_store(search.store).select(WHAT_COUNTS).to_dicts()


def invoke(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [*map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def tune_words(data: Path, out: Path) -> list[str]:
    grids = [word for grid in GRIDS for word in ("--grid", grid)]
    flags = ["--epochs", "2", "--batch-size", "64", "--out", str(out)]
    return ["tune", str(data), *grids, *flags]


@pytest.fixture(scope="module")
def searched(
    click_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Search:
    """Give a search that ended, with two trials of six that diverge."""
    search = search_of(click_data, tmp_path_factory.mktemp("tune") / "T")
    tune(search, Silent())
    return search
