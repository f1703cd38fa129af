"""Figures of the real samples, as their own description states them."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from rafm_datasets import parse_description, stream
from rafm_datasets.parquet_text import ParquetText

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

pytestmark = pytest.mark.real_data
SPLITS = ("train", "valid", "test")


def frappe_stat(real_data: Path) -> dict[str, tuple[int, int, int]]:
    """Feature id: field, count, positive count."""
    with gzip.open(real_data / "frappe" / "frappe_l.stat.gz", "rt") as file:
        rows = (line.split() for line in file)
        return {i: (int(f), int(n), int(p)) for i, f, n, p in rows}


def label_counts(data: PreparedData) -> Counter[float]:
    counts: Counter[float] = Counter()
    for split in SPLITS:
        for rows in stream(data, split, 1 << 16):
            counts.update(rows.labels.tolist())
    return counts


def all_counts(data: PreparedData) -> pl.DataFrame:
    """Of each value: count and label sum over all splits."""
    table = data.frequencies()
    total = np.zeros(data.n_features)
    for split in SPLITS:
        for rows in stream(data, split, 1 << 16):
            labels = np.repeat(rows.labels, np.diff(rows.indptr))
            total += np.bincount(rows.ids, labels, data.n_features)
    count = table["train_count"] + table["valid_count"] + table["test_count"]
    return table.with_columns(count=count, positives=pl.Series(total)).filter(
        pl.col("kind") == "value"
    )


def test_the_split_files_of_frappe_give_its_stat_in_every_line(
    prepare_into: Prepare, real_data: Path
) -> None:
    stem = real_data / "frappe" / "frappe_l"
    data = prepare_into(
        "libfm",
        f"{stem}.train-positives.exact.libfm.gz,"
        f"{stem}.train-negatives.resampled.libfm.gz",
        f"{stem}.validation.libfm.gz",
        f"{stem}.test.libfm.gz",
        split="given",
        count_splits="all",
    )
    assert [data.rows(split) for split in SPLITS] == [202_027, 57_722, 28_860]
    seen = [
        int((data.frequencies()[f"{split}_count"] > 0).sum())
        for split in ("valid", "test")
    ]
    assert seen == [5_292, 5_187]
    positives = [data.manifest.splits[split].positives for split in SPLITS]
    assert positives == [67_604, 19_063, 9_536]
    counted = all_counts(data).select("value", "count", "positives").rows()
    expected = {i: (n, p) for i, (_, n, p) in frappe_stat(real_data).items()}
    assert {i: (n, int(p)) for i, n, p in counted} == expected
    assert len(expected) == 5_382
    assert data.n_features == 5_382 + 2


def test_the_raw_log_of_frappe_gives_the_positive_counts_of_its_stat(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "frappe" / "frappe.csv.gz"
    data = prepare_into("frappe", raw, count_splits="all")
    assert sum(map(data.rows, SPLITS)) == 3 * 96_203
    assert label_counts(data) == {1.0: 96_203, 0.0: 2 * 96_203}
    id_of: dict[tuple[str, str], str] = {}
    names = [field.name for field in data.fields]
    with gzip.open(raw, "rt") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for name in names:  # the ids of the stat: by field, in order of first appearance
        for row in rows:
            id_of.setdefault((name, row[name]), str(len(id_of)))
    stat = frappe_stat(real_data)
    table = all_counts(data)
    counted = table.select("field", "value", "positives").rows()
    found = {id_of[name, value]: int(p) for name, value, p in counted}
    assert found == {i: p for i, (_, _, p) in stat.items()}
    assert len(found) == 5_382
    n_values = [field.n_features - 2 for field in data.fields]
    assert n_values == [957, 4_082, 7, 7, 2, 3, 2, 9, 80, 233]
    context = table.filter(pl.col("field") != "item").select("field", "value", "count")
    for name, value, count in context.rows():  # negatives keep user and context
        assert count == stat[id_of[name, value]][1]


def test_movielens_1m_has_its_rows_stars_users_and_movies(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "ml-1m" / "ratings.users-1-2999.dat.gz"
    data = prepare_into("movielens", raw, count_splits="all")
    stars = [27_472, 53_838, 127_216, 170_579, 108_545]
    assert label_counts(data) == dict(zip([1, 2, 3, 4, 5], stars, strict=True))
    assert sum(map(data.rows, SPLITS)) == 487_650
    assert [field.n_features - 2 for field in data.fields] == [2_999, 3_615]


def test_the_pairs_of_movielens_1m_come_from_parquet_in_the_order_of_the_ratings(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "ml-1m" / "ratings-pairs-only.parquet"
    n_values = {}
    for label, name in (("movieID", "userID"), ("userID", "movieID")):
        described = parse_description({"label": label})
        data = prepare_into("table", raw, count_splits="all", description=described)
        assert sum(map(data.rows, SPLITS)) == 1_000_209
        n_values[name] = data.fields[0].n_features - 2
    assert n_values == {"userID": 6_040, "movieID": 3_706}
    head = real_data / "ml-1m" / "ratings.users-1-2999.dat.gz"
    with gzip.open(head, "rb") as file:
        expected = [tuple(line.split(b"::")[:2]) for line in file]
    with raw.open("rb") as file:
        lines = io.BufferedReader(ParquetText(file, (), raw.name))
        assert next(lines) == b"userID\x1fmovieID\n"
        pairs = [tuple(next(lines).rstrip(b"\n").split(b"\x1f")) for _ in expected]
    assert pairs == expected


def test_movielens_latest_small_has_its_rows_users_and_movies(
    prepare_into: Prepare, real_data: Path
) -> None:
    data = prepare_into("movielens", real_data / "ml-latest-small", count_splits="all")
    assert sum(map(data.rows, SPLITS)) == 100_836
    assert set(label_counts(data)) == {n / 2 for n in range(1, 11)}
    assert [field.n_features - 2 for field in data.fields] == [610, 9_724]


def test_avazu_has_its_rows_clicks_hours_and_distinct_values(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "avazu" / "CTR_data.csv.gz"
    data = prepare_into("avazu", raw, count_splits="all")
    assert sum(map(data.rows, SPLITS)) == 20_000
    assert label_counts(data)[1.0] == 3_354
    with gzip.open(raw, "rt") as file:
        rows = list(csv.DictReader(file))
    assert sum(len(row["id"]) == 20 for row in rows) == 9_113
    n_hours = len({row["hour"] for row in rows})
    n_values = {field.name: field.n_features - 2 for field in data.fields}
    assert (n_values.pop("hour"), n_values.pop("weekday"), n_hours) == (24, 7, 240)
    assert n_values == {name: len({row[name] for row in rows}) for name in n_values}
    assert sum(n_values.values()) + n_hours == 27_049
    dropped = prepare_into("avazu", raw, count_splits="all", hour="drop")
    assert [field.name for field in dropped.fields] == [*n_values]
    assert len(n_values) == 21


def test_movielens_10m_has_its_tags(prepare_into: Prepare, real_data: Path) -> None:
    raw = real_data / "ml-10m" / "tags.dat.gz"
    data = prepare_into("movielens-tag", raw, count_splits="all")
    assert label_counts(data) == {1.0: 95_580, 0.0: 2 * 95_580}
    n_values = [field.n_features - 2 for field in data.fields]
    assert n_values == [4_009, 7_601, 16_529]


def test_movielens_latest_small_has_its_tags(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "ml-latest-small"
    data = prepare_into("movielens-tag", raw, count_splits="all")
    assert label_counts(data) == {1.0: 3_683, 0.0: 2 * 3_683}
    with gzip.open(raw / "tags.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("userId", "movieId", "tag")
    n_values = [field.n_features - 2 for field in data.fields]
    assert n_values == [len({row[name] for row in rows}) for name in names]
    assert n_values[0] == 58


def test_amazon_instruments_have_their_rows_stars_users_and_items(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "amazon" / "reviews_Musical_Instruments_5.json.gz"
    data = prepare_into("amazon", raw, count_splits="all")
    stars = [217, 250, 772, 2_084, 6_938]
    assert label_counts(data) == dict(zip([1, 2, 3, 4, 5], stars, strict=True))
    assert [field.n_features - 2 for field in data.fields] == [1_429, 900]


def test_amazon_movies_have_their_blocks_the_last_one_cut_in_its_text(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "amazon" / "movies.sample.txt.gz"
    data = prepare_into("amazon", raw, count_splits="all")
    assert label_counts(data) == {5: 163, 4: 53, 3: 17, 2: 2, 1: 3}
    assert [field.n_features - 2 for field in data.fields] == [237, 10]


def test_the_last_days_of_avazu_are_held_out(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = real_data / "avazu" / "CTR_data.csv.gz"
    data = prepare_into("avazu", raw, split="time")
    with gzip.open(raw, "rt") as file:
        days = Counter(row["hour"][:6] for row in csv.DictReader(file))
    assert data.rows("test") == days["141030"]
    assert data.rows("valid") == days["141029"]
    assert sum(map(data.rows, SPLITS)) == 20_000


def test_criteo_has_its_rows_clicks_and_distinct_values(
    prepare_into: Prepare, real_data: Path
) -> None:
    raw = [
        real_data / "criteo" / f"{name}.tsv.gz" for name in ("train", "valid", "test")
    ]
    data = prepare_into("criteo", *raw, split="given")
    assert [data.rows(split) for split in SPLITS] == [7_200, 409, 391]
    positives = [data.manifest.splits[split].positives for split in SPLITS]
    assert positives == [1_549, 93, 86]
    with gzip.open(raw[0], "rt") as file:
        cells = [line.rstrip("\n").split("\t")[1:] for line in file]
    of_field = [{row[j] for row in cells} - {""} for j in range(39)]
    assert sum(map(len, of_field[:13])) == 7_163
    assert sum(map(len, of_field[13:])) == 34_431
    n_values = [field.n_features - 2 for field in data.fields]
    assert n_values[13:] == [len(values) for values in of_field[13:]]
    for values, n in zip(of_field[:13], n_values, strict=False):
        numbers = {int(value) for value in values}
        assert n == len({math.floor(math.log(x) ** 2) if x > 2 else x for x in numbers})
    empty = sum(row.count("") for row in cells) / (39 * len(cells))
    nulls = data.frequencies().filter(kind="null")["train_count"].sum()
    assert nulls / (39 * 7_200) == pytest.approx(empty)
    assert abs(empty - 0.142) < 0.01
