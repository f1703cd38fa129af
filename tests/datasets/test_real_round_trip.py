"""Every real sample: each raw row comes back, field by field, from its ids.

The raw files are read here by the standard library alone.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from rafm_datasets import parse_description, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]
    Row = tuple[str | float | None, ...]  # label, then the value of each field

pytestmark = pytest.mark.real_data


def lines_of(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for line in file:
            yield line.rstrip("\r\n")


def cells_of(path: Path, separator: str, n_cells: int) -> Iterator[list[str]]:
    for line in lines_of(path):
        cells = line.split(separator)
        assert len(cells) == n_cells
        yield cells


def records_of(path: Path, separator: str = ",") -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter=separator)


def criteo(path: Path) -> Iterator[Row]:
    for label, *cells in cells_of(path, "\t", 40):
        numbers = [int(cell) if cell else None for cell in cells[:13]]
        buckets = [
            None if x is None else str(math.floor(math.log(x) ** 2) if x > 2 else x)
            for x in numbers
        ]
        yield (float(label), *buckets, *(cell or None for cell in cells[13:]))


def avazu(path: Path) -> Iterator[Row]:
    for row in records_of(path):
        moment = dt.datetime.strptime(row["hour"], "%y%m%d%H")
        values = list(row.values())[3:]
        weekday = moment.strftime("%A").lower()
        yield (float(row["click"]), str(moment.hour), weekday, *values)


def avazu_as_it_stands(path: Path) -> Iterator[Row]:
    for row in records_of(path):
        yield (float(row["click"]), *list(row.values())[2:])


def ratings(path: Path) -> Iterator[Row]:
    for user, item, rating, _ in cells_of(path, "::", 4):
        yield float(rating), user, item


def ratings_csv(path: Path) -> Iterator[Row]:
    for row in records_of(path):
        yield float(row["rating"]), row["userId"], row["movieId"]


def tags(path: Path) -> Iterator[Row]:
    for user, item, tag, _ in cells_of(path, "::", 4):
        yield 1.0, user, item, tag


def tags_csv(path: Path) -> Iterator[Row]:
    for row in records_of(path):
        yield 1.0, row["userId"], row["movieId"], row["tag"]


def frappe(path: Path) -> Iterator[Row]:
    for row in records_of(path, "\t"):
        del row["cnt"]
        yield 1.0, *row.values()


def reviews(path: Path) -> Iterator[Row]:
    for line in lines_of(path):
        review = json.loads(line)
        yield review["overall"], review["reviewerID"], review["asin"]


def blocks(path: Path) -> Iterator[Row]:
    for block in "\n".join(lines_of(path)).split("\n\n"):
        review = dict(line.split(": ", 1) for line in block.split("\n") if line)
        user, item = review["review/userId"], review["product/productId"]
        yield float(review["review/score"]), user, item


def libfm(path: Path) -> Iterator[Row]:
    for line in lines_of(path):
        label, *ids = line.split(" ")
        yield float(label), *ids


@dataclass(frozen=True)
class Sample:
    """A real file, the source it is for, and a reader of its rows."""

    source: str
    path: str
    read: Callable[[Path], Iterator[Row]]
    positives_only: bool = False
    options: dict[str, Any] = field(default_factory=dict)


AVAZU = parse_description({"label": "click", "ignore": ["id"]})
SAMPLES = {
    "criteo": Sample("criteo", "criteo/train.tsv.gz", criteo),
    "avazu": Sample("avazu", "avazu/CTR_data.csv.gz", avazu),
    "avazu as a table": Sample(
        "table",
        "avazu/CTR_data.csv.gz",
        avazu_as_it_stands,
        options={"description": AVAZU},
    ),
    "ml-1m": Sample("movielens", "ml-1m/ratings.users-1-2999.dat.gz", ratings),
    "ml-small": Sample("movielens", "ml-latest-small/ratings.csv.gz", ratings_csv),
    "ml-10m tags": Sample("movielens-tag", "ml-10m/tags.dat.gz", tags, True),
    "ml-small tags": Sample(
        "movielens-tag", "ml-latest-small/tags.csv.gz", tags_csv, True
    ),
    "frappe": Sample("frappe", "frappe/frappe.csv.gz", frappe, True),
    "instruments": Sample(
        "amazon", "amazon/reviews_Musical_Instruments_5.json.gz", reviews
    ),
    "movies": Sample("amazon", "amazon/movies.sample.txt.gz", blocks),
    "frappe_l": Sample("libfm", "frappe/frappe_l.validation.libfm.gz", libfm),
}


def decoded(data: PreparedData) -> Counter[Row]:
    """Rows of all splits, their ids replaced by what frequencies.parquet says."""
    found: Counter[Row] = Counter()
    table = data.frequencies()
    names = list(zip(table["field"], table["value"], strict=True))
    for split in data.manifest.splits.values():
        for file in split.files:
            frame = pl.read_parquet(data.folder / file.name)
            labels = frame["label"].to_list()
            rows: list[tuple[Any, ...]]
            if data.manifest.layout == "lists":
                lists = frame["ids"].to_list()
                rows = [tuple(names[i][1] for i in ids) for ids in lists]
            else:
                columns = []
                for entry in data.fields:
                    pairs = [names[i] for i in frame[entry.name].to_list()]
                    assert {name for name, _ in pairs} <= {entry.name}
                    columns.append([value for _, value in pairs])
                rows = list(zip(*columns, strict=True))
            found.update((label, *row) for label, row in zip(labels, rows, strict=True))
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_every_row_of_a_real_sample_comes_back_field_by_field(
    name: str, prepare_into: Prepare, real_data: Path
) -> None:
    sample = SAMPLES[name]
    raw = real_data / sample.path
    data = prepare_into(sample.source, raw, count_splits="all", **sample.options)
    expected = Counter(sample.read(raw))
    found = decoded(data)
    if sample.positives_only:
        negatives = Counter({row: n for row, n in found.items() if row[0] == 0})
        assert negatives.total() == 2 * expected.total()
        found -= negatives
    assert found == expected
    assert verify(data.folder).problems == ()
    if name == "avazu as a table":
        assert sum(entry.n_features - 2 for entry in data.fields) == 27_049
