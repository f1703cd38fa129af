"""Every model on prepared data: trained, saved, scored again; and data it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.evaluate import evaluate, predict, predict_encoded
from rafm_bench.job import make_layout
from rafm_bench.progress import Silent
from rafm_bench.train import train
from rafm_datasets import (
    EncodeOptions,
    PreparedData,
    PrepareOptions,
    encode_like,
    open_prepared,
    prepare,
)
from rafm_kernels import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_kernels import ModelName

N_USERS, N_ITEMS = 40, 60


@pytest.fixture(scope="module")
def two_fields(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Ratings of items by users, as MovieLens writes them."""
    folder = tmp_path_factory.mktemp("two-fields")
    generator = np.random.default_rng(0)
    tastes = generator.normal(size=(N_USERS + N_ITEMS, 2))
    pairs = generator.permutation(N_USERS * N_ITEMS)[:1500]
    lines = []
    for user, item in zip(pairs // N_ITEMS, pairs % N_ITEMS, strict=True):
        rating = round(float(np.clip(3 + tastes[user] @ tastes[N_USERS + item], 1, 5)))
        lines.append(f"{user + 1}::{item + 1}::{rating}::978300760")
    file = folder / "ratings.dat"
    file.write_text("\n".join(lines) + "\n", encoding="ascii")
    return prepare(PrepareOptions("movielens", (str(file),), str(folder / "data")))


@pytest.fixture(scope="module")
def lists_of_three(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Rows of libFFM text, with a field that holds none to three values."""
    folder = tmp_path_factory.mktemp("three-fields")
    generator = np.random.default_rng(1)
    lines = []
    for _ in range(600):
        user, *tags = generator.choice(9, generator.integers(1, 5), replace=False)
        item = generator.integers(20, 29)
        text = " ".join(f"2:{tag + 40}:1" for tag in tags)
        lines.append(f"{generator.integers(0, 2)} 0:{user}:1 1:{item}:1 {text}".strip())
    file = folder / "rows.ffm"
    file.write_text("\n".join(lines) + "\n", encoding="ascii")
    return prepare(PrepareOptions("libffm", (str(file),), str(folder / "data")))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_a_saved_one_scores_the_same(
    model: ModelName, two_fields: PreparedData, tmp_path: Path
) -> None:
    config = TrainConfig(model=model, epochs=3, batch_size=32, backend="numpy")
    run = train(config, two_fields, tmp_path / "run", Silent())
    assert run.result.epochs[-1].train_loss < run.result.epochs[0].train_loss
    assert evaluate(run, None, "test", Silent()).metrics == run.result.test


def test_ffm_reads_the_fields_of_lists(
    lists_of_three: PreparedData, tmp_path: Path
) -> None:
    config = TrainConfig(model="ffm", epochs=1, backend="numpy")
    run = train(config, lists_of_three, tmp_path / "run", Silent())
    n = lists_of_three.n_features
    assert run.result.n_parameters == 1 + n + 3 * 4 * n
    assert run.result.predicted_cost.per_row == pytest.approx(
        3 * 4 * lists_of_three.train_counts().sum() / lists_of_three.rows("train")
    )
    assert evaluate(run, None, "test", Silent()).metrics == run.result.test


@pytest.mark.parametrize(
    ("model", "source", "name"),
    [
        ("mrma", "movielens", "two_fields"),
        ("ffm", "movielens", "two_fields"),
        ("ffm", "libffm", "lists_of_three"),
    ],
)
def test_new_rows_are_scored_with_their_fields(
    model: ModelName,
    source: str,
    name: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    data = request.getfixturevalue(name)
    config = TrainConfig(model=model, epochs=1, backend="numpy")
    run = train(config, data, tmp_path / "run", Silent())
    raw = next(one for one in data.folder.parent.iterdir() if one.is_file())
    encoded = tmp_path / "new.parquet"
    encode_like(EncodeOptions(source, (str(raw),), str(data.folder), str(encoded)))
    new_scores = tmp_path / "new-scores.parquet"
    n_rows = predict_encoded(run, encoded, new_scores, Silent(), with_levels=True)
    table = pl.read_parquet(new_scores)
    assert table[f"level_{len(run.result.features_at_rank)}"].equals(table["score"])
    assert n_rows == sum(data.rows(split) for split in data.splits)
    predict(run, data.folder, "valid", tmp_path / "scores.parquet", Silent())
    new, known = (
        set(pl.read_parquet(tmp_path / file)["score"].round(9))
        for file in ("new-scores.parquet", "scores.parquet")
    )
    assert known <= new


def refusal(config: TrainConfig, data: PreparedData) -> str:
    with pytest.raises(UserError) as refused:
        make_layout(config, data, Silent())
    return str(refused.value)


def test_mrma_refuses_all_but_two_fields(
    lists_of_three: PreparedData, ratings: Path
) -> None:
    config = TrainConfig(model="mrma")
    wanted = "it needs data of exactly two fields, got"
    assert f"{wanted} 3; use" in refusal(config, lists_of_three)
    assert f"{wanted} 1; use" in refusal(config, open_prepared(ratings))


def test_ffm_refuses_data_without_fields(ratings: Path) -> None:
    said = refusal(TrainConfig(model="ffm"), open_prepared(ratings))
    assert "(fields: feature): model 'ffm' has a vector for each other field" in said
    assert "two or more fields, got 1; use 'fm'" in said


def test_mrma_takes_no_rank_rule() -> None:
    with pytest.raises(UserError, match="gives every feature every rank"):
        TrainConfig(model="mrma", rank_rule="thresholds", thresholds=(5,))
