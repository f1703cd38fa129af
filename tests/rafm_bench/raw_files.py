"""Small made-up raw files, under the names that README and docs/ give to real ones."""

from __future__ import annotations

import gzip
import random
import zipfile
from typing import TYPE_CHECKING

from tests.datasets.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

N_ROWS = 240
FRAPPE_L = [
    f"raw/frappe/frappe_l.{split}.libfm" for split in ("train", "validation", "test")
]
FILES = {
    ("frappe", "frappe.csv"): ["frappe.csv", "raw/frappe/frappe.csv"],
    ("libfm", "data.libfm"): FRAPPE_L,
    ("movielens", "ratings.dat"): ["ml-1m/ratings.dat", "raw/ml-1m/ml-1m.zip"],
    ("movielens", "ratings.csv"): ["raw/ml-latest-small/ratings.csv"],
    ("movielens-tag", "tags.dat"): ["raw/ml-10m/ml-10m.zip", "raw/ml-10m/tags.dat"],
    ("amazon", "movies.txt"): ["raw/amazon/movies.txt.gz"],
    ("amazon", "ratings.csv"): ["raw/amazon/ratings_Musical_Instruments.csv"],
    ("criteo", "train.txt"): [
        "train.txt",
        "raw/criteo/train.txt",
        *(f"raw/days/day_{day}.gz" for day in (0, 1, 10, 19, 20, 21, 22, 23)),
    ],
    ("avazu", "train.csv"): ["raw/avazu/train.gz"],
}
CLICKS = "clicked,user,city\n" + "".join(
    f"{i * i % 3 % 2},u{i % 9},c{i % 4}\n" for i in range(N_ROWS)
)


def write_raw_files(folder: Path) -> None:
    """Write a file of each name into `folder`, and what describes them."""
    for (source, name), places in FILES.items():
        sample = next(one for one in SAMPLES[source] if one.name == name)
        for place in places:
            text, _ = sample.make(random.Random(place), N_ROWS)
            _write(folder / place, name, text.encode())
    lines = (folder / "train.txt").read_text().splitlines(keepends=True)
    (folder / "test.txt").write_text("".join(li.split("\t", 1)[1] for li in lines))
    (folder / "clicks.csv").write_text(CLICKS)
    (folder / "clicks.toml").write_text('label = "clicked"\n')


def _write(place: Path, name: str, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr(f"{place.stem}/{name}", content)
        return
    place.write_bytes(gzip.compress(content) if place.suffix == ".gz" else content)
