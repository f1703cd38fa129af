"""Source `table`: descriptions, Parquet, times, buckets, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from rafm_datasets import (
    DataError,
    PreparedData,
    parse_description,
    read_description,
    stream,
    verify,
)
from rafm_datasets.buckets import by_edges, by_log, by_width

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Prepare = Callable[..., PreparedData]

ALL_TRAIN = {"fractions": (1.0, 0.0, 0.0)}


def values_of(data: PreparedData, field: str) -> dict[str, int]:
    """Each value of a field with its count in training."""
    table = data.frequencies().filter(kind="value", field=field)
    return dict(table.select("value", "train_count").rows())


def test_one_line_describes_a_table_whose_other_columns_are_categories(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("user,clicked,page\nann,1,x\nbob,0,x\n")
    (tmp_path / "a.toml").write_text('label = "clicked"\n')
    described = read_description(tmp_path / "a.toml")
    raw = tmp_path / "a.csv"
    data = prepare_into("table", raw, description=described, **ALL_TRAIN)
    assert [field.name for field in data.fields] == ["user", "page"]
    assert data.task == "classification"
    assert values_of(data, "user") == {"ann": 1, "bob": 1}
    assert values_of(data, "page") == {"x": 2}
    assert data.manifest.parameters["description"] == {
        "label": "clicked",
        "fields": {"user": "categorical", "page": "categorical"},
    }


def test_what_the_file_says_counts_and_not_its_name(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / "a.csv"
    raw.write_text("user,clicked,page\nann,1,x\nbob,0,x\n")
    out = str(tmp_path / "out")
    (tmp_path / "a.toml").write_text('label = "clicked"\n')
    (tmp_path / "b.toml").write_text("label = 'clicked'  # as before\n")
    (tmp_path / "c.toml").write_text('label = "clicked"\nignore = ["page"]\n')
    a, b, c = (read_description(tmp_path / f"{name}.toml") for name in "abc")
    data = prepare_into("table", raw, out=out, description=a, **ALL_TRAIN)
    assert prepare_into("table", raw, out=out, description=b, **ALL_TRAIN) == data
    with pytest.raises(DataError, match="with other parameters"):
        prepare_into("table", raw, out=out, description=c, **ALL_TRAIN)


def test_a_description_comes_back_from_its_plain_values() -> None:
    content = {
        "label": "y",
        "positive": ["a", "b"],
        "time": "t",
        "time_unit": "ms",
        "format": "csv",
        "separator": ";",
        "quoted": False,
        "columns": ["y", "t", "u", "v", "w"],
        "ignore": ["w"],
        "fields": {
            "u": {"kind": "multi", "separator": "|", "min_count": 3},
            "v": {"kind": "numeric", "edges": [1.0, 2.5]},
            "*": "categorical",
        },
    }
    assert parse_description(content).content == content
    assert parse_description(parse_description(content).content).content == content


def test_a_parquet_file_gives_the_data_of_the_csv_with_the_same_rows(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    frame = pl.DataFrame(
        {
            "user": [f"u{i % 7}" if i % 5 else None for i in range(300)],
            "text": ['a "b", c', "two\nlines\r", "", "\u00e9"] * 75,
            "price": [i % 40 for i in range(300)],
            "seen": [i % 3 == 0 for i in range(300)],
            "tags": ["a|b:2", None, "a:0.5"] * 100,
            "clicked": [i % 2 for i in range(300)],
            "when": [
                dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(300)
            ],
            "nested": [[1]] * 300,
        }
    )
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=64)
    texts = frame.drop("nested").with_columns(nested=pl.lit("x"))
    texts.write_csv(tmp_path / "a.csv")
    described = parse_description(
        {
            "label": "clicked",
            "time": "when",
            "ignore": ["nested"],
            "fields": {
                "*": "categorical",
                "price": "numeric",
                "tags": {"separator": "|", "value_separator": ":"},
            },
        }
    )
    for split in ("random", "time"):
        options = {"description": described, "split": split}
        text = prepare_into("table", tmp_path / "a.csv", **options)
        parquet = prepare_into("table", tmp_path / "a.parquet", **options)
        # The lines of a text are not its rows where values hold line ends.
        if split == "time":
            assert parquet.fingerprint == text.fingerprint
        assert sum(map(parquet.rows, parquet.splits)) == 300
        everything = ("field", "value", "kind")
        found = [d.frequencies().select(everything) for d in (text, parquet)]
        assert set(found[0].rows()) == set(found[1].rows())
    assert values_of(parquet, "text").keys() == {'a "b", c', "two\nlines\r", "\u00e9"}
    assert values_of(parquet, "seen").keys() == {"true", "false"}


def test_the_rows_of_parquet_do_not_depend_on_its_row_groups_or_our_chunks(
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_groups: None,
) -> None:
    frame = pl.DataFrame(
        {
            "user": [str(i * i % 97) for i in range(2000)],
            "note": ["a\nb", "c"] * 1000,
            "y": [i % 2 for i in range(2000)],
        }
    )
    options = {"description": parse_description({"label": "y"})}
    frame.write_parquet(tmp_path / "a.parquet")
    whole = prepare_into("table", tmp_path / "a.parquet", **options)
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(frame.iter_slices(700)):
        path = tmp_path / "parts" / f"part-{number}.parquet"
        part.write_parquet(path, row_group_size=100)
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (2000, 2000))
    monkeypatch.setattr("rafm_datasets.parquet_text._BATCH_ROWS", 37)
    parts = prepare_into("table", tmp_path / "parts", threads=2, **options)
    assert parts.fingerprint == whole.fingerprint
    assert len(parts.manifest.raw_files) == 3


def test_quoted_cells_may_hold_separators_and_line_ends(
    prepare_into: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [f"{i % 9},\n\n{i % 4}" for i in range(600)]
    lines = [f'"{cell}",{i % 2}\n' for i, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text("user,y\n" + "".join(lines))
    options = {"description": parse_description({"label": "y"})}
    whole = prepare_into("table", tmp_path / "a.csv", count_splits="all", **options)
    assert set(whole.frequencies()["value"].drop_nulls()) == set(cells)
    assert sum(map(whole.rows, whole.splits)) == 600
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (300, 300))
    parts = prepare_into("table", tmp_path / "a.csv", count_splits="all", **options)
    assert parts.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([[1], [2]], "a.parquet: column x is of type List.Int64., which is not one"),
        ([b"a", b"b"], "a.parquet: column x is of type Binary"),
        ([dt.timedelta(1), None], "a.parquet: column x is of type Duration"),
        (["a", "b\x1f"], "a.parquet, row 2: column x holds one of the control"),
        (["a", "b\0"], "a.parquet, line 2: holds a NUL byte"),
    ],
)
def test_parquet_columns_that_are_not_one_text_a_row_are_refused(
    prepare_into: Prepare, tmp_path: Path, column: list[Any], reason: str
) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": column, "y": [0, 1]}).write_parquet(path)
    with pytest.raises(DataError, match=reason):
        prepare_into("table", path, description=parse_description({"label": "y"}))


def test_parquet_that_is_damaged_packed_or_something_else_is_told(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    described = parse_description({"label": "y"})
    whole = tmp_path / "whole.parquet"
    pl.DataFrame({"x": ["a"] * 99, "y": [0] * 99}).write_parquet(whole)
    data = whole.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.parquet").write_bytes(b"x,y\n1,2\n")
    (tmp_path / "packed.parquet.gz").write_bytes(data)
    (tmp_path / "unknown.dat").write_bytes(data)
    pl.DataFrame({"x": [], "y": []}).write_parquet(tmp_path / "none.parquet")
    expected = {
        "cut.parquet": "is not Parquet, or damaged or cut short",
        "text.parquet": "is not Parquet, or damaged or cut short",
        "packed.parquet.gz": "is Parquet within an archive",
        "unknown.dat": "the format of unknown.dat cannot be told from its name",
        "none.parquet": "holds no rows",
    }
    for name, reason in expected.items():
        with pytest.raises(DataError, match=reason) as caught:
            prepare_into("table", tmp_path / name, description=described)
        assert "\n" not in str(caught.value)


def test_times_are_seconds_milliseconds_or_iso_dates(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    day = "2024-03-01"
    early = ["2024-02-27", "2024-02-27T23:59:59.999", "2024-02-28T01:30:00+02:00"]
    late = [
        day,
        f"{day} 12:00",
        f"{day}T23:59:59Z",
        "1709251200",
        "2024-02-29 23:30-01",
    ]
    late[-1] += "00"
    lines = [f"{i % 2},u{i},{when}\n" for i, when in enumerate(early + late)]
    (tmp_path / "a.csv").write_text("y,u,t\n" + "".join(lines))
    described = parse_description({"label": "y", "time": "t", "format": "csv"})
    options: dict[str, Any] = {"split": "time", "holdout": (0, 1)}
    data = prepare_into("table", tmp_path / "a.csv", description=described, **options)
    assert (data.rows("train"), data.rows("test")) == (len(early), len(late))
    (tmp_path / "b.csv").write_text("y,u,t\n1,a,1709251199999\n0,b,1709251200000\n")
    with pytest.raises(DataError, match=r"line 2: t '1709.*' is too large.*\"ms\""):
        prepare_into("table", tmp_path / "b.csv", description=described, **options)
    described = replace(described, time_unit="ms")
    data = prepare_into("table", tmp_path / "b.csv", description=described, **options)
    assert (data.rows("train"), data.rows("test")) == (1, 1)
    for wrong in ("yesterday", "2024-13-01", "2024-01-01T", ""):
        (tmp_path / "c.csv").write_text(f"y,u,t\n1,a,{wrong}\n")
        with pytest.raises(DataError, match=r"t '.*' is neither|t is missing"):
            prepare_into("table", tmp_path / "c.csv", description=described, **options)


def test_numbers_fall_into_the_bucket_that_has_them() -> None:
    numbers = [-7.5, -0.1, 0.0, 1.9, 2.0, 3.0, 20.0, 1e6]
    series = pl.Series(numbers)
    assert by_log(series).to_list() == ["-8", "-1", "0", "1", "2", "1", "8", "190"]
    assert by_width(series, 2.5).to_list() == [
        *("-7.5", "-2.5", "0", "0", "0", "2.5", "20", "1000000")
    ]
    assert by_width(pl.Series([0.3, 0.31, 0.05]), 0.1).to_list() == ["0.2", "0.3", "0"]
    assert by_edges(series, [0, 2, 20]).to_list() == [
        *("<0", "<0", "0", "0", "2", "2", "20", "20")
    ]


def test_a_label_too_large_to_be_kept_is_refused(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("y,u\n3.5,a\n-1e39,b\n")
    with pytest.raises(DataError, match="line 3: y '-1e39' is too large a number"):
        prepare_into(
            "table", tmp_path / "a.csv", description=parse_description({"label": "y"})
        )


def test_labels_above_a_bound_count_as_1(prepare_into: Prepare, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("stars,u\n3.5,a\n4,b\n5,b\n")
    described = parse_description({"label": "stars", "positive_from": 4})
    data = prepare_into("table", tmp_path / "a.csv", description=described, **ALL_TRAIN)
    assert data.task == "classification"
    assert data.manifest.splits["train"].positives == 2


def test_least_counts_of_the_description_give_way_to_those_of_the_command(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("y,u,v\n" + "1,a,a\n" * 3 + "0,b,b\n" * 2)
    rule = {"min_count": 3}
    described = parse_description({"label": "y", "fields": {"u": rule, "v": rule}})
    options = {"description": described, **ALL_TRAIN}
    raw = tmp_path / "a.csv"
    data = prepare_into("table", raw, field_min_counts={"v": 2}, **options)
    assert values_of(data, "u") == {"a": 3}
    assert values_of(data, "v") == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not name the label; write label = "),
        ('lable = "y"', "does not name the label; rename lable to label"),
        ("label = ", "is not TOML: "),
        ("label = 3", "label must be a text, got 3"),
        ('label = "y"\ntim = "t"', "unknown key tim; did you mean time"),
        ('label = "y"\nxyzzy = 1', "unknown key xyzzy; leave it out .known are label"),
        ('label = "y"\nformat = "xls"', "format must be one of csv, tsv, parquet, got"),
        ('label = "y"\nignore = "u"', "ignore must be a list of texts such as"),
        ('label = "y"\npositive_from = "4"', "positive_from must be a number"),
        ('label = "y"\nnegative = ["n"]', "so positive must list"),
        ('label = "y"\nquoted = "no"', "quoted must be true or false"),
        ('label = "y"\nseparator = "::"\nquoted = true', "longer than one character"),
        ('label = "y"\nfields = "all"', "fields must be a table of columns, got 'all'"),
        ('label = "y"\nfields.y = "numeric"', "would be learned from itself"),
        ('label = "y"\nfields.label = {}', "no field can be called label"),
        ('label = "y"\nfields.u = 3', "field u must be one of categorical, numeric, "),
        ('label = "y"\nfields.u = "number"', "kind must be one of .*, got 'number'"),
        (
            'label = "y"\nfields.u = {widht = 3}',
            "unknown key widht; did you mean width",
        ),
        ('label = "y"\nfields.u = {width = -1}', "width must be a number above 0"),
        ('label = "y"\nfields.u = {edges = [3, 1]}', "a list of rising numbers, got"),
        ('label = "y"\nfields.u = "multi"', "multi without a separator"),
        (
            'label = "y"\nfields.u = {kind = "categorical", width = 1}',
            "field u is categorical, which has no width; leave it out, or make",
        ),
        ('label = "y"\nfields.u = {min_count = 0}', "min_count must be a whole number"),
    ],
)
def test_a_wrong_description_is_told_with_file_key_and_mend(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_description(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ({"label": "z"}, {}, "a.csv, line 1: the header lacks z"),
        ({"label": "y", "fields": {"w": {}}}, {}, "the header lacks w"),
        (
            {"label": "y", "columns": ["x", "z"]},
            {},
            "columns in the description lacks y",
        ),
        ({"label": "y", "ignore": ["u"]}, {}, "has no column besides label, time and"),
        ({"label": "y"}, {"split": "time"}, "have no time to split by"),
        ({"label": "y"}, {"field_min_counts": {"w": 2}}, "its fields are u"),
        (
            {"label": "y", "task": "regression"},
            {"task": "classification"},
            "the description says task = regression, not classification",
        ),
    ],
)
def test_a_description_that_does_not_go_with_the_table_is_told(
    prepare_into: Prepare,
    tmp_path: Path,
    content: dict[str, Any],
    options: dict[str, Any],
    reason: str,
) -> None:
    (tmp_path / "a.csv").write_text("y,u\n1,a\n")
    with pytest.raises(DataError, match=reason):
        prepare_into(
            "table",
            tmp_path / "a.csv",
            description=parse_description(content),
            **options,
        )


def test_source_table_needs_a_description_and_no_other_source_takes_one(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("y,u\n1,a\n")
    with pytest.raises(DataError, match="give --describe FILE"):
        prepare_into("table", tmp_path / "a.csv")
    described = parse_description({"label": "y"})
    with pytest.raises(DataError, match="for source table, not for criteo"):
        prepare_into("criteo", tmp_path / "a.csv", description=described)


def test_a_value_that_a_row_names_twice_is_counted_twice_and_kept_as_it_stands(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("y,t\n1,a|b|a\n0,b\n")
    rule = {"separator": "|"}
    described = parse_description({"label": "y", "fields": {"t": rule}})
    table = prepare_into(
        "table", tmp_path / "a.csv", description=described, **ALL_TRAIN
    )
    assert values_of(table, "t") == {"a": 2, "b": 2}
    (tmp_path / "a.libfm").write_text("1 7 8 7:2\n0 8\n")
    libfm = prepare_into("libfm", tmp_path / "a.libfm", **ALL_TRAIN)
    assert values_of(libfm, "feature") == {"7": 2, "8": 2}
    for data in (table, libfm):
        assert verify(data.folder).sound
        rows = next(stream(data, "train", 10))
        (long,) = np.flatnonzero(rows.labels)
        ids = rows.ids[rows.indptr[long] : rows.indptr[long + 1]].tolist()
        assert sorted(Counter(ids).values()) == [1, 2]
        assert data.train_counts().sum() == len(rows.ids) == 4
