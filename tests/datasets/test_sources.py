"""One conformance suite over the table of sources.

Each source has a `Sample`: how to write raw files, and the same rows as plain Python,
read back by nothing of ours. A source without a sample fails the first test.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
import random
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from rafm_datasets import DataError, parse_description, source_names, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

SPLITS = ("train", "valid", "test")
# label, then (field, value or None, weight) for each entry
Row = tuple[float, tuple[tuple[str, str | None, float], ...]]


@dataclass(frozen=True)
class Sample:
    """Raw bytes of n rows from a seed, and the rows that they stand for."""

    name: str
    make: Callable[[random.Random, int], tuple[str, list[Row]]]
    options: dict[str, object] = field(default_factory=dict)
    negatives: int = 0  # rows drawn by the source for each row of the sample


def skewed(draw: random.Random, n: int) -> int:
    return int(draw.paretovariate(0.8)) % n


def libfm(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    lines: list[str] = []
    rows: list[Row] = []
    for _ in range(n_rows):
        label = draw.randint(0, 1)
        ids = sorted({skewed(draw, 500) for _ in range(draw.randint(0, 6))})
        entries = [(str(i), draw.choice([1.0, 0.5, 2.0])) for i in ids]
        lines.append(" ".join([str(label), *(f"{i}:{v:g}" for i, v in entries)]))
        rows.append((float(label), tuple(("feature", i, v) for i, v in entries)))
    return "\n".join(lines) + "\n", rows


def ratings(
    separator: str, header: str = "", end: str = "\n"
) -> Callable[[random.Random, int], tuple[str, list[Row]]]:
    def make(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
        text = header
        rows: list[Row] = []
        for _ in range(n_rows):
            user, item = str(skewed(draw, 300) + 1), str(skewed(draw, 900) + 1)
            stars = draw.randint(1, 10) / 2
            time = str(978300000 + draw.randint(0, 10**7))
            text += separator.join([user, item, f"{stars:g}", time]) + end
            rows.append((stars, (("user", user, 1.0), ("item", item, 1.0))))
        return text, rows

    return make


FRAPPE = "user item cnt daytime weekday isweekend homework cost weather country city"


def frappe(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    names = FRAPPE.split()
    text = "\t".join(names) + "\n"
    rows: list[Row] = []
    for _ in range(n_rows):
        values = [
            str(skewed(draw, 50)),
            str(skewed(draw, 400)),
            str(draw.randint(1, 99)),
        ]
        values += [f"{name} {skewed(draw, 4)}" for name in names[3:]]
        text += "\t".join(values) + "\n"
        pairs = zip(names, values, strict=True)
        rows.append((1.0, tuple((k, v, 1.0) for k, v in pairs if k != "cnt")))
    return text, rows


def criteo(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    text = ""
    rows: list[Row] = []
    for _ in range(n_rows):
        label = draw.randint(0, 1)
        integers = [
            None if draw.random() < 0.3 else skewed(draw, 10**6) - 3 for _ in range(13)
        ]
        texts = [
            None if draw.random() < 0.2 else f"{skewed(draw, 99) * 7919:08x}"
            for _ in range(26)
        ]
        cells = ["" if cell is None else str(cell) for cell in (*integers, *texts)]
        text += "\t".join([str(label), *cells]) + "\n"
        entries = [(f"I{i}", bucket(x), 1.0) for i, x in enumerate(integers, 1)]
        entries += [(f"C{i}", x, 1.0) for i, x in enumerate(texts, 1)]
        rows.append((float(label), tuple(entries)))
    return text, rows


def bucket(x: int | None) -> str | None:
    if x is None:
        return None
    return str(math.floor(math.log(x) ** 2) if x > 2 else x)


# fmt: off
AVAZU = [
    "C1", "banner_pos", "site_id", "site_domain", "site_category",
    "app_id", "app_domain", "app_category", "device_id", "device_ip",
    "device_model", "device_type", "device_conn_type", "C14", "C15",
    "C16", "C17", "C18", "C19", "C20",
    "C21",
]
# fmt: on


def avazu(*, hour: bool) -> Callable[[random.Random, int], tuple[str, list[Row]]]:
    def make(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
        text = ",".join(["id", "click", "hour", *AVAZU]) + "\n"
        rows: list[Row] = []
        for _ in range(n_rows):
            number, label = draw.randint(1, 2**64 - 1), draw.randint(0, 1)
            moment = dt.datetime(2014, 10, draw.randint(21, 30), draw.randint(0, 23))
            values = [f"{skewed(draw, 60) * 7919:x}" for _ in AVAZU]
            cells = [str(number), str(label), moment.strftime("%y%m%d%H"), *values]
            text += ",".join(cells) + "\n"
            entries = [(n, v, 1.0) for n, v in zip(AVAZU, values, strict=True)]
            if hour:
                weekday = moment.strftime("%A").lower()
                day = [("hour", str(moment.hour), 1.0), ("weekday", weekday, 1.0)]
                entries = day + entries
            rows.append((float(label), tuple(entries)))
        return text, rows

    return make


def libffm(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    text = ""
    rows: list[Row] = []
    for _ in range(n_rows):
        label = draw.choice([-1, 1])
        pairs = {(draw.randint(0, 11), skewed(draw, 60)) for _ in range(5)}
        chosen = [(str(f), str(i), draw.choice([1.0, 0.5])) for f, i in pairs]
        cells = [":".join([f, i, f"{v:g}"]) for f, i, v in chosen]
        text += " ".join([str(label), *cells]) + "\n"
        chosen.sort(key=lambda entry: int(entry[0]))
        rows.append(((label + 1) / 2, tuple(chosen)))
    return text, rows


def tags(
    separator: str, header: str = "", end: str = "\n"
) -> Callable[[random.Random, int], tuple[str, list[Row]]]:
    def make(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
        text = header
        rows: list[Row] = []
        for _ in range(n_rows):
            user, item = str(skewed(draw, 99) + 1), str(skewed(draw, 900) + 1)
            tag = f"tag {skewed(draw, 400)}"
            if draw.random() < 0.2:
                tag = f'{tag}, "quoted", \u00e9'
            quoted = '"' + tag.replace('"', '""') + '"'
            shown = quoted if header and '"' in tag else tag
            text += separator.join([user, item, shown, "1139045764"]) + end
            entries = {"user": user, "item": item, "tag": tag}
            rows.append((1.0, tuple((k, v, 1.0) for k, v in entries.items())))
        return text, rows

    return make


def reviews(
    write: Callable[[str, str, float, int], str],
    header: str = "",
) -> Callable[[random.Random, int], tuple[str, list[Row]]]:
    def make(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
        text = header
        rows: list[Row] = []
        for _ in range(n_rows):
            user, item = f"A{skewed(draw, 300):013d}", f"B{skewed(draw, 900):09d}"
            stars = float(draw.randint(1, 5))
            text += write(user, item, stars, 978300000 + draw.randint(0, 10**7))
            rows.append((stars, (("user", user, 1.0), ("item", item, 1.0))))
        return text, rows

    return make


def snap_block(user: str, item: str, stars: float, time: int) -> str:
    return (
        f"product/productId: {item}\nreview/userId: {user}\n"
        "review/profileName: N. N.\nreview/helpfulness: 7/7\n"
        f"review/score: {stars}\nreview/time: {time}\n"
        "review/summary: review/score: 9\nreview/text: some, text\n\n"
    )


def json_line(user: str, item: str, stars: float, time: int) -> str:
    review = {
        "overall": stars,
        "reviewerID": user,
        "asin": item,
        "reviewText": 'a "text"\nof two lines',
        "helpful": [0, 1],
        "unixReviewTime": time,
    }
    return json.dumps(review) + "\n"


def plain_table(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    """Lines without header, two categories; labels by a list of texts."""
    lines: list[str] = []
    rows: list[Row] = []
    for _ in range(n_rows):
        label = draw.choice(["yes", "no"])
        city = draw.choice(["Oslo", 'a "b"', "d\u00e9j\u00e0", None])
        user = str(skewed(draw, 300))
        lines.append("\t".join([user, label, "unused", city or ""]) + "\n")
        entries = (("city", city, 1.0), ("user", user, 1.0))
        rows.append((float(label == "yes"), entries))
    return "".join(lines), rows


def rich_table(draw: random.Random, n_rows: int) -> tuple[str, list[Row]]:
    """Quoted cells, numbers in buckets of each kind, values with weights."""
    text = 'user,"price, net",age,size,tags,stars\n'
    rows: list[Row] = []
    for _ in range(n_rows):
        user = f'u"{skewed(draw, 99)}", {draw.randint(0, 1)}'
        price = None if draw.random() < 0.2 else skewed(draw, 10**6) - 3
        age, size = draw.randint(1, 99), draw.randint(-40, 40) / 8
        stars = draw.randint(1, 10) / 2
        names = [f"t{skewed(draw, 30)}" for _ in range(draw.randint(0, 4))]
        tags = [(name, draw.choice([1.0, 0.5, 2.0])) for name in names]
        cells = [
            '"' + user.replace('"', '""') + '"',
            "" if price is None else str(price),
            str(age),
            str(size),
            "|".join(n if w == 1 else f"{n}:{w}" for n, w in tags),
            f"{stars:g}",
        ]
        text += ",".join(cells) + "\n"
        band = max([e for e in (18, 30, 65) if e <= age], default="<18")
        one = {"user": user, "price, net": bucket(price), "age": str(band)}
        one["size"] = f"{math.floor(size / 0.5) * 0.5:g}"
        entries = [(name, value, 1.0) for name, value in one.items()]
        entries += [("tags", n, w) for n, w in tags] or [("tags", None, 1.0)]
        rows.append((stars, tuple(entries)))
    return text, rows


PLAIN = {
    "label": "bought",
    "positive": ["yes"],
    "negative": ["no"],
    "columns": ["user", "bought", "note", "city"],
    "fields": {"city": "categorical", "user": "categorical"},
}
RICH = {
    "label": "stars",
    "fields": {
        "*": "categorical",
        "price, net": "numeric",
        "age": {"edges": [18, 30, 65]},
        "size": {"width": 0.5},
        "tags": {"separator": "|", "value_separator": ":"},
    },
}


def line_of_2023(user: str, item: str, stars: float, time: int) -> str:
    review = {
        "rating": stars,
        "title": "user_id",
        "asin": "B000000000",
        "parent_asin": item,
        "user_id": user,
        "timestamp": 1000 * time + 7,
        "images": [{"small": "a.jpg"}],
        "verified_purchase": True,
    }
    return json.dumps(review) + "\n"


SAMPLES = {
    "table": [
        Sample("plain.tsv", plain_table, {"description": parse_description(PLAIN)}),
        Sample("rich.csv", rich_table, {"description": parse_description(RICH)}),
    ],
    "amazon": [
        Sample("movies.txt", reviews(snap_block)),
        Sample("reviews.json", reviews(json_line)),
        Sample("ratings.csv", reviews(lambda u, i, s, t: f"{u},{i},{s},{t}\n")),
        Sample("of_2023.jsonl", reviews(line_of_2023)),
        Sample(
            "of_2023.csv",
            reviews(
                lambda u, i, s, t: f"{u},{i},{s},{t}123,B01 B02\n",
                "user_id,parent_asin,rating,timestamp,history\n",
            ),
        ),
        Sample("of_2018.csv", reviews(lambda u, i, s, t: f"{i},{u},{s},{t}\n")),
    ],
    "libffm": [Sample("data.ffm", libffm)],
    "movielens-tag": [
        Sample("tags.dat", tags("::"), negatives=2),
        Sample(
            "tags.csv",
            tags(",", "userId,movieId,tag,timestamp\r\n", "\r\n"),
            negatives=2,
        ),
    ],
    "avazu": [
        Sample("train.csv", avazu(hour=True)),
        Sample("train", avazu(hour=False), {"hour": "drop"}),
    ],
    "criteo": [Sample("train.txt", criteo)],
    "libfm": [Sample("data.libfm", libfm)],
    "movielens": [
        Sample("u.data", ratings("\t")),
        Sample("ratings.dat", ratings("::")),
        Sample(
            "ratings.csv", ratings(",", "userId,movieId,rating,timestamp\r\n", "\r\n")
        ),
    ],
    "frappe": [Sample("frappe.csv", frappe, negatives=2)],
}
CASES = [
    pytest.param(source, sample, id=f"{source}-{sample.name}")
    for source, samples in SAMPLES.items()
    for sample in samples
]
each_case = pytest.mark.parametrize(("source", "sample"), CASES)


def decoded(data: PreparedData, split: str) -> list[Row]:
    """Rows of a split in file order, through frequencies.parquet, with plain loops."""
    names = data.frequencies().select("field", "value").rows()
    rows = []
    for file in data.manifest.splits[split].files:
        for row in pq.read_table(data.folder / file.name).to_pylist():
            label = row.pop("label")
            ids = row.pop("ids") if "ids" in row else list(row.values())
            weights = row.pop("values", [1.0] * len(ids))
            entries = zip(ids, weights, strict=True)
            rows.append((label, tuple((*names[i], w) for i, w in entries)))
    return rows


def made(sample: Sample, tmp_path: Path, n_rows: int = 700) -> tuple[Path, list[Row]]:
    text, rows = sample.make(random.Random(n_rows), n_rows)
    path = tmp_path / sample.name
    path.write_bytes(text.encode())
    return path, rows


def test_every_source_of_the_table_has_a_sample() -> None:
    assert set(SAMPLES) == set(source_names())


@each_case
def test_raw_rows_come_back_through_the_ids(
    source: str, sample: Sample, prepare_into: Prepare, tmp_path: Path
) -> None:
    path, rows = made(sample, tmp_path)
    data = prepare_into(source, path, count_splits="all", **sample.options)
    found = [row for split in SPLITS for row in decoded(data, split)]
    assert len(found) == len(rows) * (1 + sample.negatives)
    if sample.negatives:
        found = [row for row in found if row[0] == 1]
    assert Counter(found) == Counter(rows)


@each_case
@pytest.mark.parametrize("min_count", [1, 3])
def test_counts_and_ids_are_those_of_a_naive_count_of_train(
    source: str, sample: Sample, min_count: int, prepare_into: Prepare, tmp_path: Path
) -> None:
    path, _ = made(sample, tmp_path)
    exact = prepare_into(source, path, count_splits="all", **sample.options)
    raw_rows = {split: decoded(exact, split) for split in SPLITS}
    data = prepare_into(source, path, min_count=min_count, **sample.options)
    expected = naive_frequencies(raw_rows, [f.name for f in data.fields], min_count)
    assert data.frequencies().rows() == expected
    for entry in data.fields:
        of_field = [row for row in expected if row[1] == entry.name]
        assert entry.n_features == len(of_field)
        kinds = {row[3]: row[0] for row in of_field}
        assert (kinds["null"], kinds["rare"]) == (entry.null_id, entry.rare_id)
    assert data.train_counts().tolist() == [row[4] for row in expected]
    id_of = {(row[1], row[2]): row[0] for row in expected if row[3] != "rare"}
    rare = {entry.name: entry.rare_id for entry in data.fields}
    for split in SPLITS:
        shown = [(label, [(n, v) for n, v, _ in e]) for label, e in raw_rows[split]]
        wanted = [
            (label, [id_of.get(pair, rare[pair[0]]) for pair in entries])
            for label, entries in shown
        ]
        assert ids_of(data, split) == wanted


def test_a_field_can_have_a_least_count_of_its_own(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    path, _ = made(SAMPLES["avazu"][0], tmp_path)
    options = {"min_count": 2, "field_min_counts": {"C1": 9, "C21": 1}}
    data = prepare_into("avazu", path, **options)
    values = data.frequencies().filter(kind="value")
    least = dict(values.group_by("field").agg(pl.col("train_count").min()).rows())
    assert least["C1"] >= 9
    assert least["C21"] == 1
    assert min(n for name, n in least.items() if name != "C21") == 2
    assert data.manifest.parameters["field_min_counts"] == options["field_min_counts"]
    assert verify(data.folder).sound
    with pytest.raises(DataError, match="with other parameters"):
        prepare_into("avazu", path, out=str(data.folder), min_count=2)


def naive_frequencies(
    rows: dict[str, list[Row]], fields: list[str], min_count: int
) -> list[tuple[object, ...]]:
    """frequencies.parquet by counting in dictionaries and one sort."""
    counts: dict[tuple[str, str | None], list[float]] = defaultdict(
        lambda: [0, 0, 0, 0.0]
    )
    for place, split in enumerate(SPLITS):
        for label, entries in rows[split]:
            for name, value, _ in entries:
                counts[name, value][place] += 1
                counts[name, value][3] += label if split == "train" else 0
    table: list[tuple[Any, ...]] = []
    for place, name in enumerate(fields):
        reserved = {"null": [0, 0, 0, 0.0], "rare": [0, 0, 0, 0.0]}
        for value in [v for n, v in counts if n == name]:
            count = counts[name, value]
            if value is not None and count[0] >= min_count:
                table.append(
                    (-count[0], place, 2, value.encode(), "value", value, count)
                )
            else:
                into = reserved["null" if value is None else "rare"]
                into[:] = [a + b for a, b in zip(into, count, strict=True)]
        for order, kind in enumerate(reserved):
            count = reserved[kind]
            table.append((-count[0], place, order, b"", kind, None, count))
    table.sort(key=lambda item: item[:4])
    return [
        (i, fields[place], value, kind, *count)
        for i, (_, place, _, _, kind, value, count) in enumerate(table)
    ]


def ids_of(data: PreparedData, split: str) -> list[tuple[float, list[int]]]:
    rows = []
    for file in data.manifest.splits[split].files:
        for row in pq.read_table(data.folder / file.name).to_pylist():
            label = row.pop("label")
            rows.append((label, row["ids"] if "ids" in row else list(row.values())))
    return rows


@each_case
def test_splits_follow_the_seed_and_the_fractions(
    source: str, sample: Sample, prepare_into: Prepare, tmp_path: Path
) -> None:
    path, rows = made(sample, tmp_path)
    options = {"fractions": (0.6, 0.3, 0.1), **sample.options}
    data = prepare_into(source, path, **options)
    sizes = [data.rows(split) for split in SPLITS]
    total = len(rows) * (1 + sample.negatives)
    assert sum(sizes) == total
    for size, fraction in zip(sizes, (0.6, 0.3, 0.1), strict=True):
        assert abs(size / total - fraction) < 0.08
    assert prepare_into(source, path, **options).fingerprint == data.fingerprint
    other = prepare_into(source, path, seed=1, **options)
    assert other.fingerprint != data.fingerprint


@each_case
@pytest.mark.parametrize(
    "packing", ["gz", "zip", "folder", "CRLF", "no last line end", "BOM"]
)
def test_packing_and_line_ends_do_not_change_the_data(
    source: str,
    sample: Sample,
    packing: str,
    prepare_into: Prepare,
    tmp_path: Path,
) -> None:
    path, _ = made(sample, tmp_path, 120)
    plain = prepare_into(source, path, **sample.options)
    data = path.read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    raw = other / path.name
    if packing == "gz":
        raw = other / f"{path.name}.gz"
        raw.write_bytes(gzip.compress(data))
    elif packing == "zip":
        raw = other / "archive.zip"
        with zipfile.ZipFile(raw, "w") as archive:
            archive.writestr(f"inside/{path.name}", data)
    elif packing == "folder":
        (other / "inside").mkdir()
        (other / "inside" / path.name).write_bytes(data)
        raw = other
    elif packing == "CRLF":
        raw.write_bytes(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    elif packing == "BOM":
        raw.write_bytes(b"\xef\xbb\xbf" + data)
    else:
        raw.write_bytes(data.rstrip(b"\r\n"))
    assert prepare_into(source, raw, **sample.options).fingerprint == plain.fingerprint


@each_case
@pytest.mark.usefixtures("small_groups")
def test_chunks_workers_and_memory_do_not_change_the_data(
    source: str,
    sample: Sample,
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, _ = made(sample, tmp_path)
    whole = prepare_into(source, path, threads=1, **sample.options)
    size = path.stat().st_size // 12
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (size, size))
    monkeypatch.setattr("rafm_datasets.vocabulary._BYTES_PER_ENTRY", 1 << 20)
    parts = prepare_into(
        source, path, threads=3, memory_limit=1 << 30, **sample.options
    )
    assert parts.fingerprint == whole.fingerprint
    assert parts.manifest == whole.manifest
