"""Source `amazon`: ratings of products, from reviews in any of their layouts.

Names and texts of reviewers are never read into columns: ids, rating and time only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.columns import (
    BadRows,
    Column,
    Parsed,
    encode_text,
    require,
    require_present,
    times_of,
)
from rafm_datasets.delimited import (
    Dialect,
    csv_dialect,
    read_delimited,
    record_starts,
    shielded,
)
from rafm_datasets.errors import DataError
from rafm_datasets.sources import SourceInfo
from rafm_datasets.sources.movielens import star_ratings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=("user", "item"),
    task="regression",
    layout="movies.txt (blocks of `key: value`), JSON lines of 2014, 2018 or 2023, "
    "or CSV of user, item, rating, time (2023: with header)",
    page="https://snap.stanford.edu/data/web-Movies.html",
    licence="none stated; cite McAuley and Leskovec 2013 (2014: McAuley et al. 2015)",
    members=("movies.txt", "*.json", "*.jsonl", "*.csv"),
    timed=True,
)
_COLUMNS = ("user", "item", "rating", "time")
_BLOCKS = ("review/userId", "product/productId", "review/score", "review/time")
_JSON = ("reviewerID", "asin", "overall", "unixReviewTime")
_OF_2023 = ("user_id", "parent_asin", "rating", "timestamp")  # time in milliseconds
_PRODUCT = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]")


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell the layout from the first line, as in `Source.dialect`."""
    del options
    if head.startswith(b"{"):
        return Dialect(columns=_OF_2023 if b'"user_id"' in head else _JSON)
    if b"user_id" in head.split(b","):
        return csv_dialect(name, head, _OF_2023, "the ratings CSV of 2023")
    if head.startswith((b"product/", b"review/")):
        return Dialect(columns=_BLOCKS, framing="block", encoding="latin-1")
    cells = head.decode("utf-8", "replace").split(",")
    if len(cells) == len(_COLUMNS) and re.fullmatch(r"\d{12,13}", cells[3]):
        raise DataError(
            f"{name}, line 1: the header is missing, for time {cells[3]} is in "
            f"milliseconds, as in the files of 2023; put {','.join(_OF_2023)} above"
        )
    if len(cells) == len(_COLUMNS):
        is_product = [bool(_PRODUCT.fullmatch(cell)) for cell in cells[:2]]
        if is_product == [False, True]:
            return Dialect(columns=_COLUMNS, separator=",")
        if is_product == [True, False]:  # as in the files of 2018
            return Dialect(columns=("item", "user", "rating", "time"), separator=",")
    raise DataError(
        f"{name}, line 1: neither a block of `key: value` lines, nor JSON, nor user, "
        f"item, rating, time (it reads {head[:80]!r}); give movies.txt, JSON lines or "
        "a ratings CSV"
    )


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check ratings, as in `Source.parse`."""
    del options
    of_2023 = _OF_2023[0] in dialect.columns
    if dialect.columns in (_JSON, _OF_2023) and not dialect.header_lines:
        frame = _read_json(data, dialect.columns)
    elif dialect.columns == _BLOCKS:
        frame = _read_blocks(data)
    else:
        frame = read_delimited(data, dialect)
    if of_2023:
        frame = frame.rename(dict(zip(_OF_2023, _COLUMNS, strict=True)))
    times = times_of(frame["time"], "time", per_second=1000 if of_2023 else 1)
    return Parsed(
        labels=star_ratings(frame["rating"]),
        columns={name: _ids(frame[name], name) for name in INFO.fields},
        numbers=np.arange(len(frame)),
        times=times,
    )


def _ids(texts: pl.Series, name: str) -> Column:
    column = encode_text(texts)
    require_present(column, name)
    good = column.values.str.contains(r"^[A-Za-z0-9_-]+$")
    require(column, good, lambda text: f"{name} {text} is not an id")
    return column


def _read_json(data: bytes, keys: tuple[str, ...]) -> pl.DataFrame:
    lines = data.removesuffix(b"\n").split(b"\n")
    blank = [row for row, line in enumerate(lines) if not line.strip(b" \t\r")]
    if blank:
        raise BadRows([(row, "") for row in blank])
    frame = _json_frame(data, keys)
    if frame is None or len(frame) != len(lines):
        raise BadRows(
            [(row, _json_defect(lines[row])) for row in _unread(lines, keys, 0)]
        )
    return (
        frame
        if keys == _OF_2023
        else frame.rename(dict(zip(keys, _COLUMNS, strict=True)))
    )


def _json_frame(data: bytes, keys: tuple[str, ...]) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(shielded(data), schema=dict.fromkeys(keys, pl.String))
    except pl.exceptions.PolarsError:
        return None


def _unread(lines: list[bytes], keys: tuple[str, ...], first: int) -> Iterator[int]:
    """Find the lines that Polars does not take for one object, by halving."""
    frame = _json_frame(b"\n".join(lines), keys)
    if frame is not None and len(frame) == len(lines):
        return
    if len(lines) == 1:
        yield first
        return
    half = len(lines) // 2
    yield from _unread(lines[:half], keys, first)
    yield from _unread(lines[half:], keys, first + half)


def _json_defect(line: bytes) -> str:
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({error})".replace("\n", " ")
    if not isinstance(value, dict):
        return "is not a JSON object"
    return "holds JSON with a number or text that cannot be read"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")


def _read_blocks(data: bytes) -> pl.DataFrame:
    """Read blocks of lines, the keys in any order; other keys are passed over."""
    text = data.decode("latin-1")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars_end("\r")
    starts = record_starts(data, "block")
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    first_lines = np.searchsorted(breaks, starts)
    columns, defects = {}, dict[int, str]()
    for key, name in zip(_BLOCKS, _COLUMNS, strict=True):
        at = np.flatnonzero(lines.str.starts_with(f"{key}: ").to_numpy())
        block = np.searchsorted(first_lines, at, side="right") - 1
        found = np.bincount(block, minlength=len(starts))
        if len(at) and at[-1] == len(lines) - 1:
            found[-1] = 0  # the file ends within this value
        for row in np.flatnonzero(found != 1).tolist():
            what = "is cut short or lacks" if not found[row] else "repeats"
            defects.setdefault(row, f"the block {what} {key}")
        columns[name] = lines.gather(at).str.slice(len(key) + 2)
    if defects:
        raise BadRows(_but_blank(defects, data, starts))
    return pl.DataFrame(columns)


def _but_blank(
    defects: dict[int, str], data: bytes, starts: NDArray[np.int64]
) -> list[tuple[int, str]]:
    """Give blank blocks an empty reason, so that they are dropped."""
    stops = [*starts[1:].tolist(), len(data)]
    return [
        (row, reason if data[starts[row] : stops[row]].strip() else "")
        for row, reason in defects.items()
    ]


if TYPE_CHECKING:
    import rafm_datasets.sources.amazon as _this

    _source: Source = _this
