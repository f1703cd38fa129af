"""`encode_like`: new rows get the ids of prepared data, in the order of the rows."""

from __future__ import annotations

import gzip
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from rafm_datasets import (
    DataError,
    EncodedFile,
    EncodeOptions,
    encode_like,
    generate,
    open_encoded,
    parse_description,
    stream,
    stream_encoded,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData, Rows

    Prepare = Callable[..., PreparedData]
    Write = Callable[..., Path]


def encode_rows(
    data: PreparedData, *raw: Path, out: Path, **options: object
) -> EncodedFile:
    source, texts = data.manifest.source, tuple(map(str, raw))
    given = EncodeOptions(source, texts, str(data.folder), str(out), **options)  # type: ignore[arg-type]
    return encode_like(given)


def only(rows: list[Rows]) -> Rows:
    (whole,) = rows
    return whole


def as_text(data: PreparedData, encoded: EncodedFile) -> list[list[str]]:
    """Raw values of the rows of a file with a column a field; rare and null by kind."""
    features = data.frequencies()
    texts = features.select(pl.coalesce("value", "kind")).to_series().to_list()
    rows = only(list(stream_encoded(encoded, 10**6)))
    return [[texts[i] for i in row] for row in rows.ids.reshape(-1, len(data.fields))]


@pytest.fixture
def criteo_rows(tmp_path: Path) -> Path:
    raw = tmp_path / "train.txt"
    generate("criteo", 3000, 0, str(raw))
    return raw


@pytest.mark.usefixtures("small_groups")
def test_the_rows_of_the_data_get_the_ids_they_were_prepared_with(
    prepare_into: Prepare,
    criteo_rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = criteo_rows.read_bytes().splitlines(keepends=True)
    train, test = tmp_path / "a.txt", tmp_path / "b.txt"
    train.write_bytes(b"".join(lines[:2500]))
    test.write_bytes(b"".join(lines[2500:]))
    data = prepare_into("criteo", train, test, split="given", min_count=2)
    encoded = encode_rows(data, test, out=tmp_path / "b.parquet")
    expected = only(list(stream(data, "test", 10**6)))
    found = only(list(stream_encoded(encoded, 10**6)))
    assert (found.ids == expected.ids).all()
    assert (found.labels == expected.labels).all()
    assert (found.indptr == expected.indptr).all()
    assert encoded.data_fingerprint == data.fingerprint
    assert open_encoded(encoded.path) == encoded
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (20_000, 20_000))
    monkeypatch.setattr("rafm_datasets.lookup._MEMORY_PER_BYTE", 1 << 20)
    monkeypatch.setattr("rafm_datasets.vocabulary._BYTES_PER_ENTRY", 1 << 20)
    in_parts = encode_rows(data, test, out=tmp_path / "c.parquet", workers=1)
    assert in_parts.path.read_bytes() == encoded.path.read_bytes()


@pytest.mark.usefixtures("small_groups")
def test_lists_of_ids_and_values_are_encoded_alike(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    train, test = write_libfm(1000, 0), write_libfm(300, 1)
    data = prepare_into("libfm", train, test, split="given")
    encoded = encode_rows(data, test, out=tmp_path / "b.parquet")
    expected = only(list(stream(data, "test", 10**6)))
    found = only(list(stream_encoded(encoded, 10**6)))
    for name in ("indptr", "ids", "values", "labels"):
        assert (getattr(found, name) == getattr(expected, name)).all(), name
    table = pl.read_parquet(encoded.path)
    assert table.columns == ["label", "ids", "values"]


def test_unknown_values_are_rare_and_missing_ones_are_null(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    train, new = tmp_path / "train.txt", tmp_path / "new.txt"
    row = ["1", *"7" * 13, *(f"c{i}" for i in range(26))]
    train.write_text("\t".join(row) + "\n")
    data = prepare_into("criteo", train, fractions=(1.0, 0.0, 0.0))
    row[1], row[14], row[15] = "", "new", ""
    new.write_text("\t".join(row) + "\n")
    encoded = encode_rows(data, new, out=tmp_path / "new.parquet")
    (texts,) = as_text(data, encoded)
    assert texts[:2] == ["null", "3"]  # 7 is in the bucket floor(log(7)^2)
    assert texts[13:16] == ["rare", "null", "c2"]
    assert {name: n for name, n in encoded.unknown.items() if n} == {"C1": 1}
    assert {name: n for name, n in encoded.missing.items() if n} == {"I1": 1, "C2": 1}


def test_a_test_file_of_criteo_has_no_labels(
    prepare_into: Prepare, criteo_rows: Path, tmp_path: Path
) -> None:
    data = prepare_into("criteo", criteo_rows)
    bare = tmp_path / "test.txt"
    lines = criteo_rows.read_text().splitlines()
    bare.write_text("".join(line.split("\t", 1)[1] + "\n" for line in lines))
    with pytest.raises(DataError, match="39 columns, so this is a test file"):
        prepare_into("criteo", bare)
    encoded = encode_rows(data, bare, out=tmp_path / "bare.parquet")
    labeled = encode_rows(data, criteo_rows, out=tmp_path / "labeled.parquet")
    assert (encoded.labeled, labeled.labeled) == (False, True)
    found = only(list(stream_encoded(encoded, 10**6)))
    expected = only(list(stream_encoded(labeled, 10**6)))
    assert (found.ids == expected.ids).all()
    assert np.isnan(found.labels).all()
    assert pl.read_parquet(encoded.path).columns == [f.name for f in data.fields]
    with pytest.raises(DataError, match="some have none; encode them apart"):
        encode_rows(data, criteo_rows, bare, out=tmp_path / "both.parquet")
    assert not (tmp_path / "both.parquet").exists()


@pytest.mark.parametrize("hour", ["split", "drop"])
def test_a_test_file_of_avazu_lacks_the_column_click(
    hour: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw, bare = tmp_path / "train.csv", tmp_path / "test.csv.gz"
    generate("avazu", 500, 0, str(raw))
    lines = [line.split(",") for line in raw.read_text().splitlines()]
    assert lines[0][1] == "click"
    text = "".join(",".join([line[0], *line[2:]]) + "\n" for line in lines)
    bare.write_bytes(gzip.compress(text.encode()))
    data = prepare_into("avazu", raw, hour=hour)
    with pytest.raises(DataError, match="no column click"):
        prepare_into("avazu", bare)
    encoded = encode_rows(data, bare, out=tmp_path / "test.parquet")
    labeled = encode_rows(data, raw, out=tmp_path / "train.parquet")
    assert (encoded.labeled, encoded.rows) == (False, 500)
    assert as_text(data, encoded) == as_text(data, labeled)
    assert ("hour" in encoded.fields) == (hour == "split")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_needs_neither_label_nor_time(
    ending: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    columns = {"ad": ["a", "b", "a"], "y": [1, 0, 1], "t": [7, 8, 9]}
    pl.DataFrame(columns).write_csv(tmp_path / "train.csv")
    described = parse_description({"label": "y", "time": "t"})
    data = prepare_into(
        "table",
        tmp_path / "train.csv",
        description=described,
        fractions=(1.0, 0.0, 0.0),
    )
    new, raw = pl.DataFrame({"ad": ["b", None, "c"]}), tmp_path / f"new{ending}"
    new.write_csv(raw) if ending == ".csv" else new.write_parquet(raw)
    encoded = encode_rows(data, raw, out=tmp_path / "new-ids.parquet")
    assert not encoded.labeled
    assert as_text(data, encoded) == [["b"], ["null"], ["rare"]]


def test_a_log_of_positives_is_encoded_row_by_row_without_negatives(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    raw, new = tmp_path / "tags.csv", tmp_path / "new.csv"
    header = "userId,movieId,tag,timestamp\n"
    rows = [f"{n % 7},{n % 5},tag{n % 11},{n}\n" for n in range(100)]
    raw.write_text(header + "".join(rows))
    new.write_text(header + "3,4,tag5,1\n1,2,tag9,2\n")
    data = prepare_into("movielens-tag", raw)
    encoded = encode_rows(data, new, out=tmp_path / "new.parquet")
    assert as_text(data, encoded) == [["3", "4", "tag5"], ["1", "2", "tag9"]]


@pytest.mark.parametrize(
    ("labels", "expected"), [("-1 1 -1", [0, 1, 0]), ("1 1 0", [1, 1, 0])]
)
def test_labels_become_those_of_the_data(
    labels: str, expected: list[int], prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "raw").write_text("-1 3\n1 5\n" * 10)
    data = prepare_into("libfm", tmp_path / "raw", fractions=(1.0, 0.0, 0.0))
    (tmp_path / "new").write_text("".join(f"{y} 3\n" for y in labels.split()))
    encoded = encode_rows(data, tmp_path / "new", out=tmp_path / "new.parquet")
    assert only(list(stream_encoded(encoded, 10))).labels.tolist() == expected
    (tmp_path / "new").write_text("5 3\n")
    with pytest.raises(DataError, match="neither all 0 or 1 nor all -1 or 1"):
        encode_rows(data, tmp_path / "new", out=tmp_path / "new.parquet")


def test_bad_rows_stop_or_are_set_aside_and_counted(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    raw, out = write_libfm(50), tmp_path / "new.parquet"
    data = prepare_into("libfm", raw)
    raw.write_text("1 3\nyes 4\n0 5\n")
    with pytest.raises(DataError, match="line 2: label 'yes'"):
        encode_rows(data, raw, out=out)
    assert list(tmp_path.iterdir()) == []
    encoded = encode_rows(data, raw, out=out, on_bad_row="quarantine")
    assert (encoded.rows, encoded.quarantined_rows) == (2, 1)
    refused = pl.read_parquet(tmp_path / "new.quarantine.parquet")
    assert refused["text"].to_list() == ["yes 4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "new.parquet",
        "new.quarantine.parquet",
    ]
    raw.write_text("1 3\n")
    encode_rows(data, raw, out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]


def test_what_does_not_fit_the_data_is_refused(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(50)
    data = prepare_into("libfm", raw)
    folder, out = str(data.folder), str(tmp_path / "new.parquet")
    with pytest.raises(DataError, match="from source libfm, not criteo"):
        encode_like(EncodeOptions("criteo", (str(raw),), folder, out))
    with pytest.raises(DataError, match="is not prepared data"):
        encode_like(EncodeOptions("libfm", (str(raw),), str(raw.parent), out))
    with pytest.raises(DataError, match="is a folder; choose a file"):
        encode_like(EncodeOptions("libfm", (str(raw),), folder, str(tmp_path)))
    (tmp_path / "fields.libffm").write_text("1 0:3\n0 1:4\n")
    raw = tmp_path / "fields.libffm"
    by_field = prepare_into("libffm", raw, fractions=(1.0, 0.0, 0.0))
    (tmp_path / "other.libffm").write_text("1 0:3 2:4\n")
    with pytest.raises(DataError, match=r"does not know \(2\)"):
        encode_rows(by_field, tmp_path / "other.libffm", out=tmp_path / "o.parquet")


def test_raw_files_are_not_written_over_nor_addresses_taken_for_folders(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(50)
    data, text = prepare_into("libfm", raw), raw.read_bytes()
    with pytest.raises(DataError, match="is among the raw files"):
        encode_rows(data, raw, out=raw)
    beside = raw.rename(tmp_path / "new.quarantine.parquet")
    with pytest.raises(DataError, match="is among the raw files"):
        encode_rows(data, beside, out=tmp_path / "new.parquet")
    assert beside.read_bytes() == text
    given = EncodeOptions("libfm", (str(beside),), str(data.folder), "memory://b/new")
    with pytest.raises(DataError, match="memory://b/new is an address"):
        encode_like(given)


def test_an_archive_of_one_file_is_encoded_as_it_is_prepared(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.write(write_libfm(50), "rows.libfm")
    data = prepare_into("libfm", tmp_path / "rows.zip")
    out = tmp_path / "new.parquet"
    assert encode_rows(data, tmp_path / "rows.zip", out=out).rows == 50


def test_what_is_not_encoded_rows_is_not_opened(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    data = prepare_into("libfm", write_libfm(50))
    (tmp_path / "text").write_text("1 3\n")
    with pytest.raises(DataError, match="cannot read"):
        open_encoded(tmp_path / "text")
    with pytest.raises(DataError, match="cannot read"):
        open_encoded(tmp_path / "missing")
    with pytest.raises(DataError, match="does not hold encoded rows"):
        open_encoded(data.folder / "train" / "part-00000.parquet")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("criteo", "criteo/train.tsv.gz"),
        ("avazu", "avazu/CTR_data.csv.gz"),
        ("movielens", "ml-latest-small/ratings.csv.gz"),
        ("amazon", "amazon/movies.sample.txt.gz"),
        ("frappe", "frappe/frappe.csv.gz"),
    ],
)
def test_real_rows_get_the_ids_they_were_prepared_with(
    source: str, name: str, real_data: Path, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = real_data / name
    quarantine = {"on_bad_row": "quarantine"}
    data = prepare_into(source, raw, fractions=(1.0, 0.0, 0.0), **quarantine)
    encoded = encode_rows(data, raw, out=tmp_path / "all.parquet", **quarantine)
    positives = 3 if source == "frappe" else 1
    assert encoded.rows * positives == data.rows("train")
    assert sum(encoded.unknown.values()) == 0
    if positives == 1:
        found = only(list(stream_encoded(encoded, 10**6))).ids
        counts = np.bincount(found, minlength=data.n_features)
        assert (counts == data.train_counts()).all()
