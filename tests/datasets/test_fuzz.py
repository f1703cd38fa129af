"""Damaged raw files, drawn at random: every row comes out or is quarantined.

Set FUZZ_EXAMPLES for more of them; the default takes a few seconds.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rafm_datasets import DataError, PrepareOptions, load_source, prepare
from rafm_datasets.files import sha256_of
from tests.datasets.samples import Row, Sample, decoded, each_case

if TYPE_CHECKING:
    from rafm_datasets import PreparedData

N_ROWS = 16
OF_SEVERAL_LINES = ("movies.txt", "tags.csv")
TOKENS = [
    *(b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\n", b"\r", b"\r\n", b"\n\n"),
    *(b"\t", b",", b":", b"::", b" ", b'"', b'""', b"\x1e", b"\x1f", b"\\", b"{"),
    *(
        b"-",
        b"nan",
        b"inf",
        b"1e999",
        b"0x1",
        b"99999999999999999999",
        "\u00e9".encode(),
    ),
]
Edit = tuple[str, float, bytes]
edits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "put", "delete", "double", "cut line", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=6,
)
fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "3")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize="FUZZ_EXAMPLES" not in os.environ,
)


def damage(data: bytes, edits: list[Edit]) -> bytes:
    """Apply edits behind the first line, which tells the format."""
    first = data.index(b"\n") + 1
    for kind, place, token in edits:
        at = first + int(place * (len(data) - first))
        if kind == "insert":
            data = data[:at] + token + data[at:]
        elif kind == "put":
            data = data[:at] + token + data[at + len(token) :]
        elif kind == "delete":
            data = data[:at] + data[at + len(token) :]
        elif kind == "double":
            data = data[:at] + data[at : at + 1] + data[at:]
        elif kind == "cut line":
            end = data.find(b"\n", at)
            data = data[:at] + (data[end:] if end >= 0 else b"")
        elif place > 0.7:
            data = data[:at]
    return data


def prepare_damaged(
    source: str, sample: Sample, raw: Path, out: Path, chunk: int, threads: int
) -> PreparedData | str:
    """Prepare in chunks of that many bytes; a refusal becomes its message."""
    options = {"count_splits": "all", "fractions": (1.0, 0.0, 0.0), **sample.options}
    if load_source(source).INFO.task is None:
        options["task"] = "regression"  # whatever the labels become
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.budget.CHUNK_BYTES", (chunk, chunk))
        try:
            return prepare(
                PrepareOptions(
                    source,
                    (str(raw),),
                    str(out),
                    on_bad_row="quarantine",
                    threads=threads,
                    **options,  # type: ignore[arg-type]
                )
            )
        except DataError as error:
            return str(error)


def refused_rows(data: PreparedData) -> list[tuple[int, str, str]]:
    if not data.manifest.quarantined_rows:
        return []
    frame = pl.read_parquet(data.folder / "quarantine" / "*.parquet")
    return frame.select("line", "reason", "text").rows()


def hashes(data: PreparedData) -> dict[str, str]:
    return {
        str(path.relative_to(data.folder)): sha256_of(path)
        for path in data.folder.rglob("*.*")
        if path.is_file()
    }


@each_case
@fuzzed
@given(edits=edits, pieces=st.integers(2, 8))
def test_a_damaged_file_is_accounted_for_whatever_the_chunks(
    source: str, sample: Sample, edits: list[Edit], pieces: int
) -> None:
    text, rows = sample.make(random.Random(len(edits)), N_ROWS)
    good = text.encode()
    bad = damage(good, edits)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        raw = folder / sample.name
        raw.write_bytes(bad)
        whole = prepare_damaged(source, sample, raw, folder / "whole", 1 << 20, 1)
        parts = prepare_damaged(
            source, sample, raw, folder / "parts", len(bad) // pieces, 3
        )
        if isinstance(whole, str):
            assert whole == parts
            assert "\n" not in whole
            return
        assert not isinstance(parts, str), parts
        assert hashes(whole) == hashes(parts)
        check_refused(whole, bad)
        if sample.name not in OF_SEVERAL_LINES:
            check_accounts(whole, sample, good, bad, rows)


def check_refused(data: PreparedData, bad: bytes) -> None:
    """Each refused row gives the number of its line and its text, and a reason."""
    lines = bad.split(b"\n")
    refused = refused_rows(data)
    assert len(refused) == data.manifest.quarantined_rows
    assert refused == sorted(refused)
    for line, reason, text in refused:
        assert reason
        first = text.split("\n")[0].rstrip("\r")
        shown = lines[line - 1].decode(errors="backslashreplace")
        assert shown.rstrip("\r") == first


def check_accounts(
    data: PreparedData, sample: Sample, good: bytes, bad: bytes, rows: list[Row]
) -> None:
    """Lines in are rows out and rows refused; untouched rows come out as they were."""
    head = good.count(b"\n") - len(rows)
    lines = bad.rstrip(b"\n").split(b"\n")
    filled = sum(1 for line in lines[head:] if line.strip(b" \r"))
    per_record = 1 + sample.negatives
    assert data.rows("train") == per_record * (filled - data.manifest.quarantined_rows)
    as_it_was = dict(zip(good.split(b"\n")[head:], rows, strict=False))
    refused = {line for line, _, _ in refused_rows(data)}
    expected = Counter(
        as_it_was[line][1]
        for number, line in enumerate(lines[head:], head + 1)
        if line in as_it_was and number not in refused
    )
    found = Counter(row[1] for row in decoded(data, "train"))
    assert not expected - found
