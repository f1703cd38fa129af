"""`verify`: silent on sound folders, and it tells every kind of damage."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from rafm_datasets import DataError, generate, verify
from rafm_datasets.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]
    Write = Callable[..., Path]


@pytest.fixture
def data(prepare_into: Prepare, tmp_path: Path, small_groups: None) -> PreparedData:
    generate("avazu", 900, 0, str(tmp_path / "train.csv"))
    return prepare_into("avazu", tmp_path / "train.csv", min_count=2)


def restate(data: PreparedData, change: Callable[[dict[str, object]], object]) -> None:
    """Change manifest.json, and give the files the hashes that they now have."""
    path = data.folder / "manifest.json"
    content = json.loads(path.read_text())
    listed = [f for split in content["splits"].values() for f in split["files"]]
    for file in [content["frequencies"], *listed]:
        file["sha256"] = sha256_of(data.folder / file["name"])
    change(content)
    path.write_text(json.dumps(content))


def rewrite(path: Path, **columns: pl.Expr) -> None:
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


def problems(data: PreparedData) -> str:
    return "\n".join(verify(data.folder).problems)


@pytest.mark.usefixtures("small_groups")
def test_sound_folders_have_no_problems(
    data: PreparedData, prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    draw = random.Random(0)
    lines = [f"{draw.randint(1, 9)}::7::{draw.randint(1, 5)}::9" for _ in range(500)]
    (tmp_path / "ratings.dat").write_text("\n".join(lines))
    made = [
        data,
        prepare_into("libfm", write_libfm(1000), min_count=3, count_splits="all"),
        prepare_into("movielens", tmp_path / "ratings.dat", fractions=(0.9, 0, 0.1)),
    ]
    for prepared in made:
        found = verify(prepared.folder)
        assert found.problems == ()
        assert found.sound
        assert found.rows == sum(prepared.rows(s) for s in prepared.splits)
    plain = dataclasses.asdict(verify(data.folder))
    assert json.loads(json.dumps(plain))["files"] > 3


def test_changed_missing_and_foreign_files_are_told(data: PreparedData) -> None:
    folder = data.folder
    with (folder / "train" / "part-00000.parquet").open("r+b") as file:
        file.seek(100)
        file.write(b"?")
    (folder / "valid" / "part-00000.parquet").unlink()
    (folder / "test" / "part-00099.parquet").write_bytes(b"")
    told = problems(data)
    assert "train/part-00000.parquet has changed: its sha256 is" in told
    assert "valid/part-00000.parquet cannot be read (No such file" in told
    assert "test/part-00099.parquet is not in the manifest" in told
    assert len(told.splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": pl.lit(2.0, pl.Float32)}, "a label is neither 0 nor 1"),
        ({"label": pl.lit(None, pl.Float32)}, "a label is not finite"),
        ({"label": 1 - pl.col("label")}, "positives, the manifest says"),
        ({"C1": pl.lit(10**6, pl.Int32)}, "an id is not in 0 to"),
        ({"C1": pl.col("C15")}, "an id of column C1 is of another field"),
        ({"C1": pl.col("C1").min()}, "features are not those of the rows"),
    ],
)
def test_rows_that_break_an_invariant_are_told(
    change: dict[str, pl.Expr], reason: str, data: PreparedData
) -> None:
    rewrite(data.folder / "train" / "part-00000.parquet", **change)
    restate(data, lambda _: None)
    assert reason in problems(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": pl.col("id").reverse()}, "does not list the ids 0 to"),
        ({"train_count": pl.col("train_count").reverse()}, "counts rise from id"),
        ({"valid_count": pl.col("valid_count") + 1}, "valid counts of"),
        ({"test_count": pl.col("test_count") + 1}, "add up to"),
        ({"train_label_sum": pl.lit(0.0)}, "is not the sum of the labels"),
        ({"kind": pl.lit("value")}, "has null ids [], not"),
        ({"value": pl.lit("a")}, "lists a value twice"),
        ({"field": pl.lit("C1")}, "has 0 features, the manifest says"),
        ({"field": pl.col("field") + "x"}, "field C1x is not in the manifest"),
    ],
)
def test_frequencies_that_break_an_invariant_are_told(
    change: dict[str, pl.Expr], reason: str, data: PreparedData
) -> None:
    rewrite(data.folder / "frequencies.parquet", **change)
    restate(data, lambda _: None)
    assert reason in problems(data)


def test_a_manifest_that_does_not_fit_the_files_is_told(data: PreparedData) -> None:
    def change(content: dict[str, object]) -> None:
        content["quarantined_rows"] = 3
        splits = content["splits"]
        assert isinstance(splits, dict)
        splits["train"]["rows"] += 1
        splits["test"]["entries"] += 1
        splits["valid"]["files"][0]["rows"] += 1

    restate(data, change)
    told = problems(data)
    assert "holds 0 rows, the manifest says 3" in told
    assert "split train has" in told
    assert "entries, the manifest says" in told
    assert "valid/part-00000.parquet holds" in told


def test_what_is_not_prepared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not prepared data"):
        verify(tmp_path)
