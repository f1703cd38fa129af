"""Generated raw files of every source, each with the rows that it holds."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from rafm_datasets import parse_description

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
