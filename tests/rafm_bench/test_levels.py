"""Explicit levels of features, read from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.config_file import make_config
from rafm_bench.errors import UserError
from rafm_bench.evaluate import evaluate
from rafm_bench.levels import read_levels
from rafm_bench.progress import Silent
from rafm_bench.train import train

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import PreparedData


def write(folder: Path, text: str) -> Path:
    file = folder / "levels.csv"
    file.write_text(text, encoding="ascii")
    return file


def test_features_are_named_by_id_or_by_value(
    click_data: PreparedData, tmp_path: Path
) -> None:
    third = click_data.frequencies().row(2, named=True)
    by_id = write(tmp_path, "id,level\n2,3\n0,2\n")
    expected = read_levels(by_id, click_data, 3, Silent())
    assert expected.tolist()[:4] == [2, 1, 3, 1]
    parquet = tmp_path / "levels.parquet"
    first = click_data.frequencies().row(0, named=True)
    pl.DataFrame(
        {
            "field": [third["field"], first["field"]],
            "value": [third["value"], first["value"]],
            "level": [3, 2],
        }
    ).write_parquet(parquet)
    assert np.array_equal(read_levels(parquet, click_data, 3, Silent()), expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,rank\n1,2\n", "needs the columns id,level or field,value,level"),
        ("id,level\n1,2\n-1,2\n", "line 3: id must be a whole number in 0.."),
        ("id,level\n1,4\n", "line 2: level must be a whole number in 1..3, got '4'"),
        ("id,level\n1,x\n", "line 2: level must be a whole number in 1..3, got 'x'"),
        ("id,level\n1,2\n3,1\n1,3\n", "line 4: feature 1 is named twice"),
        ("field,value,level\nfeature,none,2\n", "line 2:"),
        ("", "not a readable CSV"),
    ],
)
def test_a_wrong_levels_file_is_refused_with_its_line(
    click_data: PreparedData, tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_levels(write(tmp_path, text), click_data, 3, Silent())
    assert told in str(caught.value)
    assert "levels.csv" in str(caught.value)


def test_a_run_of_explicit_levels_stands_by_itself(
    click_data: PreparedData, tmp_path: Path
) -> None:
    file = write(tmp_path, "id,level\n5,2\n1,2\n")
    config = TrainConfig(ranks=(2, 4), rank_rule="explicit", levels=str(file), epochs=1)
    run = train(config, click_data, tmp_path / "run", Silent())
    file.unlink()
    assert run.result.features_at_rank == (click_data.n_features, 2)
    assert evaluate(run, None, "test", Silent()).metrics == run.result.test
    again = make_config(run.folder / "config.json", {})
    assert train(again, click_data, tmp_path / "again", Silent()).result.test == (
        run.result.test
    )


def test_thresholds_decide_the_levels(click_data: PreparedData, tmp_path: Path) -> None:
    config = TrainConfig(ranks=(2, 4), epochs=1)
    config = replace(config, rank_rule="thresholds", thresholds=(50,))
    run = train(config, click_data, tmp_path / "run", Silent())
    above = int(np.count_nonzero(click_data.train_counts() > 50))
    assert run.result.features_at_rank == (click_data.n_features, above)
