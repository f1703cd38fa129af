"""Other programs read prepared data: DuckDB, pandas and Polars count it alike."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.datasets.samples import SPLITS, criteo, libffm, libfm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]
    Counts = dict[int, int]

LAYOUTS = {"criteo": criteo, "libfm": libfm, "libffm": libffm}


@pytest.fixture(scope="module", params=LAYOUTS)
def prepared(
    request: pytest.FixtureRequest,
    prepare_into: Prepare,
    tmp_path_factory: pytest.TempPathFactory,
) -> PreparedData:
    """Data of both layouts in several partitions and row groups, with rare values."""
    source: str = request.param
    raw = tmp_path_factory.mktemp("raw") / "raw"
    raw.write_text(LAYOUTS[source](random.Random(3), 900)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.schema.GROUP_ROWS", 64)
        patch.setattr("rafm_datasets.schema._GROUPS_PER_PARTITION", (1, 4))
        return prepare_into(source, raw, min_count=2)


def by_duckdb(data: PreparedData, split: str) -> Counts:
    files = f"'{data.folder}/{split}/*.parquet'"
    if data.manifest.layout == "lists":
        ids = f"SELECT unnest(ids) AS id FROM {files}"
    else:
        names = ", ".join(f'"{field.name}"' for field in data.fields)
        ids = f"SELECT id FROM (UNPIVOT {files} ON {names} INTO NAME f VALUE id)"
    return dict(duckdb.sql(f"SELECT id, count(*) FROM ({ids}) GROUP BY id").fetchall())


def by_pandas(data: PreparedData, split: str) -> Counts:
    files = sorted((data.folder / split).glob("*.parquet"))
    parts = [pd.read_parquet(file, engine="pyarrow") for file in files]
    frame = pd.concat(parts)
    if data.manifest.layout == "lists":
        ids = frame["ids"].explode().dropna()
    else:
        ids = frame.drop(columns="label").stack()
    return {int(id_): int(n) for id_, n in ids.value_counts().items()}


def by_polars(data: PreparedData, split: str) -> Counts:
    frame = pl.scan_parquet(data.folder / split / "*.parquet").collect()
    if data.manifest.layout == "lists":
        ids = frame["ids"].explode().drop_nulls()
    else:
        ids = frame.drop("label").unpivot()["value"]
    return dict(ids.value_counts().rows())


@pytest.mark.parametrize("count", [by_duckdb, by_pandas, by_polars])
@pytest.mark.parametrize("split", SPLITS)
def test_the_counts_of_frequencies_are_those_that_others_find(
    prepared: PreparedData, split: str, count: Callable[[PreparedData, str], Counts]
) -> None:
    assert len(prepared.manifest.splits["train"].files) > 2
    frequencies = prepared.frequencies()
    written = dict(frequencies.select("id", f"{split}_count").rows())
    assert count(prepared, split) == {i: n for i, n in written.items() if n}


def test_ids_joined_with_frequencies_give_the_raw_values(
    prepared: PreparedData,
) -> None:
    source = prepared.manifest.source
    _, rows = LAYOUTS[source](random.Random(3), 900)
    frequencies = prepared.frequencies()
    kept = set(frequencies.filter(kind="value").select("field", "value").rows())
    expected = Counter(
        (name, value)
        for _, entries in rows
        for name, value, _ in entries
        if (name, value) in kept
    )
    folder = prepared.folder
    if prepared.manifest.layout == "lists":
        ids = f"SELECT unnest(ids) AS id FROM '{folder}/*/part-*.parquet'"
    else:
        ids = f"UNPIVOT '{folder}/*/part-*.parquet' ON COLUMNS(* EXCLUDE label) "
        ids = f"SELECT id FROM ({ids} INTO NAME f VALUE id)"
    joined = duckdb.sql(
        f"SELECT field, value, count(*) FROM ({ids}) JOIN "
        f"'{folder}/frequencies.parquet' USING (id) WHERE kind = 'value' GROUP BY ALL"
    )
    assert {(f, v): n for f, v, n in joined.fetchall()} == expected


def test_types_are_those_of_the_format(prepared: PreparedData) -> None:
    types: dict[str, Any] = {"label": "float"}
    if prepared.manifest.layout == "lists":
        types |= {"ids": "list<element: int32>", "values": "list<element: float>"}
    else:
        types |= {field.name: "int32" for field in prepared.fields}
    for path in sorted(prepared.folder.glob("*/part-*.parquet")):
        schema = pq.read_schema(path)
        assert {n: str(schema.field(n).type) for n in schema.names} == types
    schema = pq.read_schema(prepared.folder / "frequencies.parquet")
    assert {n: str(schema.field(n).type) for n in schema.names} == {
        "id": "int32",
        "field": "string",
        "value": "large_string",
        "kind": "string",
        "train_count": "int64",
        "valid_count": "int64",
        "test_count": "int64",
        "train_label_sum": "double",
    }


def test_missing_rare_and_unseen_values_are_told_apart(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    """Missing is null; rare and never seen in training is rare; neither is a value."""
    files = {"train": ["a", "a", "b", ""], "valid": ["c", ""], "test": ["b", "a", "d"]}
    raw = []
    for split, values in files.items():
        path = tmp_path / split
        rest = "\t1" * 13 + "\tx" * 25
        path.write_text("".join(f"1{rest}\t{value}\n" for value in values))
        raw.append(path)
    data = prepare_into("criteo", *raw, split="given", min_count=2)
    counts = ["kind", "value", "train_count", "valid_count", "test_count"]
    assert sorted(
        data.frequencies().filter(field="C26").select(counts).rows(), key=str
    ) == [
        ("null", None, 1, 1, 0),
        ("rare", None, 1, 1, 2),
        ("value", "a", 2, 0, 1),
    ]
    null, rare = data.null_id("C26"), data.rare_id("C26")
    (a,) = data.frequencies().filter(field="C26", kind="value")["id"]
    found = {
        split: pl.read_parquet(data.folder / split / "*.parquet")["C26"].to_list()
        for split in SPLITS
    }
    assert found["valid"] == [rare, null]
    assert found["test"] == [rare, a, rare]
    assert sorted(found["train"]) == sorted([a, a, rare, null])
