"""Defects x sources: each file is read right, or refused with its place and the mend.

A new source needs a `Row` here, one good row of each layout. BOM, line ends and packing
are in `test_sources`, what the fields of a source must not hold in `test_wrong_rows`.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import random
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DataError, open_prepared, parse_description
from tests.datasets.samples import AVAZU, FRAPPE, PLAIN, SAMPLES, decoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

DIGITS = "98765432109876543210"
WIDE = "7" * (2 << 20)


@dataclass(frozen=True)
class Row:
    """One good row with a gap for an id; which field that is, and the header."""

    source: str
    file: str
    text: str
    field: str
    separator: str = ""
    header: str = ""
    number: int | None = None  # which cell must be a number or a moment
    digits_only: bool = False  # ids are numbers of 64 bits
    options: dict[str, object] = dataclasses.field(default_factory=dict)


ROWS = [
    Row("amazon", "ratings.csv", "{},B003AI2VGA,5,978300000", "user", ",", number=2),
    Row("amazon", "of_2018.csv", "B003AI2VGA,{},5,978300000", "user", ",", number=2),
    Row(
        "amazon",
        "movies.txt",
        "product/productId: B003AI2VGA\nreview/userId: {}\nreview/score: 3.0\n"
        "review/time: 1182729600\nreview/text: a\n",
        "user",
    ),
    Row(
        "amazon",
        "reviews.json",
        '{{"reviewerID": "{}", "asin": "B003AI2VGA", "overall": 5.0, '
        '"unixReviewTime": 1393545600}}',
        "user",
    ),
    Row(
        "avazu",
        "train.csv",
        f"{DIGITS},0,14102100" + ",{}" + ",1005" * 20,
        "C1",
        ",",
        ",".join(["id", "click", "hour", *AVAZU]),
        number=2,
    ),
    Row(
        "criteo",
        "train.txt",
        "1" + "\t5" * 13 + "\ta" * 25 + "\t{}",
        "C26",
        "\t",
        number=1,
    ),
    Row(
        "frappe",
        "frappe.csv",
        "{0}\t{0}" + "\t3" * 9,
        "user",
        "\t",
        FRAPPE.replace(" ", "\t"),
    ),
    Row("libffm", "data.ffm", "1 3:{}:1 4:5:2", "3", " ", number=0, digits_only=True),
    Row(
        "libfm", "data.libfm", "1 {}:1 5:2", "feature", " ", number=0, digits_only=True
    ),
    Row("movielens", "u.data", "{}\t5\t3\t97", "user", "\t", number=2),
    Row("movielens", "ratings.dat", "{}::5::3::97", "user", "::", number=2),
    Row(
        "movielens",
        "ratings.csv",
        "{},5,3,97",
        "user",
        ",",
        "userId,movieId,rating,timestamp",
        number=2,
    ),
    Row("movielens-tag", "tags.dat", "{0}::6::t{0}::97", "user", "::", number=3),
    Row(
        "movielens-tag",
        "tags.csv",
        "{0},6,t{0},97",
        "user",
        ",",
        "userId,movieId,tag,timestamp",
        number=3,
    ),
    Row(
        "amazon",
        "of_2023.jsonl",
        '{{"rating": 5.0, "user_id": "{}", "parent_asin": "B003AI2VGA", '
        '"timestamp": 1393545600000}}',
        "user",
    ),
    Row(
        "amazon",
        "of_2023.csv",
        "{},B003AI2VGA,5,978300000123",
        "user",
        ",",
        "user_id,parent_asin,rating,timestamp",
        number=2,
    ),
    Row(
        "table",
        "plain.tsv",
        "{}\tyes\tx\tOslo",
        "user",
        "\t",
        options={"description": parse_description(PLAIN)},
    ),
    Row(
        "table",
        "rich.csv",
        "{},5,1",
        "u",
        ",",
        "u,n,y",
        number=2,
        options={
            "description": parse_description(
                {"label": "y", "fields": {"u": "categorical", "n": "numeric"}}
            )
        },
    ),
]
N_ROWS, AT = 12, 7
(LIBFM,) = (row for row in ROWS if row.file == "data.libfm")


def each(rows: list[Row]) -> pytest.MarkDecorator:
    names = [f"{row.source}-{row.file}" for row in rows]
    return pytest.mark.parametrize("row", rows, ids=names)


def lines(row: Row, replaced: dict[int, str] | None = None) -> str:
    """A file of good rows, the ids 1, 2, ...; some rows replaced by others."""
    rows = [row.text.format(n + 1) for n in range(N_ROWS)]
    for number, text in (replaced or {}).items():
        rows[number] = text
    header = [row.header] if row.header else []
    return "\n".join([*header, *rows]) + "\n"


def line_of(row: Row, number: int) -> int:
    """The line, from 1, in which a row begins."""
    return bool(row.header) + number * (row.text.count("\n") + 1) + 1


def refusal(
    row: Row, raw: Path, prepare_into: Prepare, out: Path, **options: object
) -> str:
    """What is told of a file that is not read; nothing is left that looks finished."""
    with pytest.raises(DataError) as caught:
        prepare_into(row.source, raw, out=out, **options, **row.options)
    with pytest.raises(DataError):
        open_prepared(out)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    assert raw.name in message
    return message


def test_every_layout_of_every_source_has_a_row() -> None:
    wanted = {(source, s.name) for source, all_ in SAMPLES.items() for s in all_}
    assert {(row.source, row.file) for row in ROWS} >= wanted - {("avazu", "train")}


def short(row: Row) -> str:
    return row.text.format(3).rsplit(row.separator, 1)[0]


def long(row: Row) -> str:
    return row.text.format(3) + row.separator + "1"


def no_number(row: Row) -> str:
    cells = row.text.format(3).split(row.separator)
    cells[row.number or 0] = "x7"
    return row.separator.join(cells)


COLUMNS = [row for row in ROWS if row.separator and not row.digits_only]


@each(COLUMNS)
@pytest.mark.parametrize("damage", [short, long])
def test_a_row_of_too_few_or_too_many_fields_is_refused(
    row: Row, damage: Callable[[Row], str], prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / row.file
    raw.write_text(lines(row, {AT: damage(row)}))
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert f"line {line_of(row, AT)}: has " in told
    assert "fields instead of" in told


@each([row for row in ROWS if row.number is not None])
def test_a_text_in_place_of_a_number_is_refused(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / row.file
    raw.write_text(lines(row, {AT: no_number(row)}))
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert f"line {line_of(row, AT)}: " in told
    assert "'x7'" in told


@each(ROWS)
@pytest.mark.parametrize(
    "byte", [b"\0", b"\xff"], ids=["a NUL byte", "bytes that are not UTF-8"]
)
def test_a_byte_that_no_text_holds_is_refused(
    row: Row, byte: bytes, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / row.file
    damaged = row.text.format("@@")
    raw.write_bytes(lines(row, {AT: damaged}).encode().replace(b"@@", b"1" + byte))
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert f"line {line_of(row, AT)}: " in told


@each([row for row in ROWS if not row.digits_only])
def test_a_last_row_that_is_cut_is_refused(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    """In libFM text the beginning of a row is a row."""
    raw = tmp_path / row.file
    text = lines(row).rstrip("\n")
    raw.write_text(text[: -(len(row.text) // 2)])
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert f"line {line_of(row, N_ROWS - 1)}: " in told


@each(ROWS)
def test_blank_lines_between_rows_are_passed_over(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "good").mkdir()
    good, raw = tmp_path / "good" / row.file, tmp_path / row.file
    good.write_text(lines(row))
    raw.write_text(lines(row, {AT: "\n" + row.text.format(AT + 1) + "\n"}) + "\n\n")
    options = {"fractions": (1.0, 0.0, 0.0)}
    found = prepare_into(row.source, raw, **options, **row.options).frequencies()
    wanted = prepare_into(row.source, good, **options, **row.options).frequencies()
    if row.source not in ("frappe", "movielens-tag"):  # the draw goes by line number
        assert found.equals(wanted)
    assert found.shape == wanted.shape


@each(ROWS)
@pytest.mark.parametrize("value", [DIGITS, WIDE], ids=["20 digits", "2 MiB"])
def test_a_long_id_comes_back_whole_or_is_refused(
    row: Row, value: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / row.file
    raw.write_text(lines(row, {AT: row.text.format(value)}))
    if row.digits_only:
        told = refusal(row, raw, prepare_into, tmp_path / "out")
        assert (
            f"line {line_of(row, AT)}: feature id '98765432" in told or len(value) > 20
        )
        assert "is not a whole number" in told
        assert len(told) < 400
        return
    data = prepare_into(row.source, raw, fractions=(1.0, 0.0, 0.0), **row.options)
    entries = [(f, v) for _, es in decoded(data, "train") for f, v, _ in es]
    assert (row.field, value) in entries


@each([row for row in ROWS if row.digits_only])
def test_the_largest_id_of_64_bits_comes_back_whole(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    largest = str(2**64 - 1)
    raw = tmp_path / row.file
    raw.write_text(lines(row, {AT: row.text.format(largest)}))
    data = prepare_into(row.source, raw, fractions=(1.0, 0.0, 0.0), **row.options)
    assert largest in data.frequencies()["value"].to_list()


@each([row for row in ROWS if row.header])
def test_a_header_may_name_the_columns_in_any_order_but_not_be_missing(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / row.file
    table = [line.split(row.separator) for line in lines(row).splitlines()]
    order = random.Random(1).sample(range(len(table[0])), len(table[0]))
    moved = [row.separator.join(cells[i] for i in order) for cells in table]
    raw.write_text("\n".join(moved) + "\n")
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / row.file).write_text(lines(row))
    good = prepare_into(row.source, tmp_path / "good" / row.file, **row.options)
    assert prepare_into(row.source, raw, **row.options).fingerprint == good.fingerprint
    raw.write_text("\n".join(lines(row).splitlines()[1:]) + "\n")
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert "line 1: the header " in told
    raw.write_text(f"{row.header}\n")
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert "holds no rows" in told


@each(ROWS)
@pytest.mark.parametrize("packing", [".gz", ".zip", ".tar.gz"])
def test_a_packed_file_that_is_cut_short_is_refused(
    row: Row, packing: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    draw = random.Random(0)
    rows = [row.text.format(draw.randrange(10**9)) for _ in range(500)]
    header = [row.header] if row.header else []
    data = "\n".join([*header, *rows, ""]).encode()
    packed = io.BytesIO()
    if packing == ".zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(row.file, data)
    elif packing == ".tar.gz":
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            info = tarfile.TarInfo(row.file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    else:
        packed.write(gzip.compress(data))
    raw = tmp_path / f"{row.file}{packing}"
    raw.write_bytes(packed.getvalue())
    assert prepare_into(row.source, raw, **row.options).rows("train") > 100
    raw.write_bytes(packed.getvalue()[: -len(packed.getvalue()) // 3])
    told = refusal(row, raw, prepare_into, tmp_path / "out")
    assert "damaged or cut short" in told


@each(ROWS)
def test_what_is_no_file_of_rows_is_refused(
    row: Row, prepare_into: Prepare, tmp_path: Path
) -> None:
    empty = tmp_path / row.file
    empty.write_text("")
    told = refusal(row, empty, prepare_into, tmp_path / "out")
    assert "is empty" in told
    folder = tmp_path / "folder"
    folder.mkdir()
    told = refusal(row, folder, prepare_into, tmp_path / "out")
    assert "does not hold" in told
    told = refusal(row, tmp_path / "gone", prepare_into, tmp_path / "out")
    assert "there is no file" in told


@pytest.mark.parametrize("chunk", [10, 20, 1000])
def test_a_bom_within_a_file_belongs_to_its_row_whatever_the_chunks(
    chunk: int,
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (chunk, chunk))
    raw = tmp_path / "data.libfm"
    raw.write_text("\ufeff1 1:1\n0 2:1\n\ufeff0 3:1\n1 4:1\n")
    told = refusal(LIBFM, raw, prepare_into, tmp_path / "out", task="regression")
    assert "line 3: label '\\ufeff0' is not a number" in told
