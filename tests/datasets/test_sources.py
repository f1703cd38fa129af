"""One conformance suite over the table of sources.

Each source has a `Sample`: how to write raw files, and the same rows as plain Python,
read back by nothing of ours. A source without a sample fails the first test.
"""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from rafm_datasets import DataError, source_names, verify
from tests.datasets.samples import (
    SAMPLES,
    SPLITS,
    Row,
    Sample,
    decoded,
    each_case,
    made,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]


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
