"""Ten thousand distinct defects in one file: none is lost, none harms a good row."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.datasets.samples import (
    SPLITS,
    Row,
    avazu,
    criteo,
    decoded,
    libfm,
    ratings,
)
from tests.datasets.test_fuzz import refused_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

N_BAD, N_GOOD = 10_000, 2000
CHUNK = 200_000


def bad_cells(good: bytes, separator: bytes, wrong: dict[int, bytes]) -> list[bytes]:
    """Distinct defects of a row of cells; `wrong` gives what a cell must not hold."""
    cells = good.split(separator)
    bad = []
    for n in range(N_BAD):
        mark = b"%d" % n
        place = list(wrong)[n % len(wrong)]
        kinds = [
            [*cells[:place], wrong[place] + mark, *cells[place + 1 :]],
            [*cells, mark],
            [*cells[: 1 + n % (len(cells) - 2)], mark],
            [*cells[:-1], mark + b"\0"],
            [*cells[:-1], mark + b"\xff\xfe"],
            [mark * (1 + n % 3)],
        ]
        bad.append(separator.join(kinds[n % len(kinds)]))
    return bad


def bad_libfm(good: bytes) -> list[bytes]:
    kinds = [
        b"%d:1 1:1",
        b"yes%d 1:1",
        b"1 x%d:1",
        b"1 2 -%d:3",
        b"0 %d:",
        b"0 1:1 7:%dx",
        b"1 %d:1e999",
        b"nan%d",
        b"1 :%d",
        b"\xff%d",
        b"0 \0%d",
        b"1 98765432109876%08d:1",
    ]
    del good
    return [kinds[n % len(kinds)] % n for n in range(N_BAD)]


FILES: dict[
    str, tuple[str, Callable[..., tuple[str, list[Row]]], Callable[..., list[bytes]]]
] = {
    "avazu": (
        "train.csv",
        avazu(hour=True),
        lambda good: bad_cells(good, b",", {1: b"2", 2: b"1410210"}),
    ),
    "criteo": (
        "train.txt",
        criteo,
        lambda good: bad_cells(good, b"\t", {0: b"2", 1: b"x", 9: b"1.5", 13: b"-"}),
    ),
    "libfm": ("data.libfm", libfm, bad_libfm),
    "movielens": (
        "ratings.dat",
        ratings("::"),
        lambda good: bad_cells(good, b"::", {0: b"u", 1: b"-", 2: b"6", 3: b"1e300"}),
    ),
}


@pytest.mark.parametrize("source", FILES)
def test_ten_thousand_defects_are_accounted_for_one_by_one(
    source: str,
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, make, spoil = FILES[source]
    text, rows = make(random.Random(5), N_GOOD)
    good = text.encode().splitlines()
    head, good = good[: len(good) - N_GOOD], good[len(good) - N_GOOD :]
    bad = spoil(good[0])
    assert len(set(bad)) == N_BAD
    mixed = [(line, False) for line in good]
    draw = random.Random(7)
    for line in bad:
        at = draw.randrange(1, len(mixed) + 1)  # the first row tells the format
        mixed.insert(at, (line, True))
    spoiled, blanked = tmp_path / name, tmp_path / "blanked" / name
    blanked.parent.mkdir()
    spoiled.write_bytes(b"\n".join([*head, *(line for line, _ in mixed)]))
    kept = (b"" if is_bad else line for line, is_bad in mixed)
    blanked.write_bytes(b"\n".join([*head, *kept]))

    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (CHUNK, CHUNK))
    data = prepare_into(source, spoiled, on_bad_row="quarantine", min_count=2)
    refused = refused_rows(data)
    first = len(head) + 1
    assert [(line, text) for line, _, text in refused] == [
        (number, line.decode(errors="backslashreplace"))
        for number, (line, is_bad) in enumerate(mixed, first)
        if is_bad
    ]
    assert all(reason and "\n" not in reason for _, reason, _ in refused)
    assert data.manifest.quarantined_rows == N_BAD
    assert sum(data.rows(split) for split in SPLITS) == N_GOOD

    clean = prepare_into(source, blanked, min_count=2)
    assert data.manifest.splits == clean.manifest.splits
    assert data.manifest.frequencies == clean.manifest.frequencies
    exact = prepare_into(source, blanked, count_splits="all")
    found = (row for split in SPLITS for row in decoded(exact, split))
    assert Counter(found) == Counter(rows)
