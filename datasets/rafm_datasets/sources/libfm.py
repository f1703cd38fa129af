"""Source `libfm`: libSVM and libFM text, `label id:value ...` or `label id ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.columns import (
    BadRows,
    Column,
    Parsed,
    convert,
    encode_text,
    numbers_of,
    require,
    shown,
)
from rafm_datasets.delimited import Dialect, read_delimited
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=("feature",),
    task=None,
    layout="text, a row a line: label, then id:value or bare ids, blanks between",
    page="https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/",
    licence="that of the data set",
    lists=True,
)
_LINE = Dialect(columns=("line",), separator="\x1e")
_UNTIDY = (b"  ", b"\t", b" \n", b" \r", b"\n ")


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell how a file is written, as in `Source.dialect`: always the same here."""
    del name, head, options
    return _LINE


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of libFM text, as in `Source.parse`."""
    del options
    lines = _lines(data, dialect)
    tokens = lines.str.split(" ")
    lengths = tokens.list.len().to_numpy().astype(np.int64)
    flat = tokens.list.explode(empty_as_null=False)
    ends = np.cumsum(lengths)
    is_label = np.zeros(len(flat), np.bool_)
    is_label[ends - lengths] = True
    labels = numbers_of(encode_text(flat.filter(pl.Series(is_label))), "label")
    entries = flat.filter(pl.Series(~is_label))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths - 1)])
    return Parsed(
        labels=labels.astype(np.float32),
        columns={"feature": _features(entries, indptr, has_values=b":" in data)},
        numbers=np.arange(len(labels)),
    )


def _lines(data: bytes, dialect: Dialect) -> pl.Series:
    lines = read_delimited(data, dialect)["line"]
    if data[:1] == b" " or any(mark in data for mark in _UNTIDY):
        lines = lines.str.replace_all(r"[ \t]+", " ").str.strip_chars(" ")
    blank = np.flatnonzero((lines.is_null() | (lines == "")).to_numpy())
    if len(blank):
        raise BadRows([(row, "") for row in blank.tolist()])
    return lines


def _features(
    entries: pl.Series, indptr: NDArray[np.int64], *, has_values: bool
) -> Column:
    weights = None
    if has_values:
        parts = entries.str.splitn(":", 2).struct.unnest()
        entries = parts["field_0"]
        weights = _weights(parts["field_1"], indptr)
    column = encode_text(entries)._replace(indptr=indptr, weights=weights)
    ids = column.values.cast(pl.UInt64, strict=False)
    require(column, ids.is_not_null(), _why_no_id)
    return convert(column, ids.cast(pl.String))


def _why_no_id(text: str) -> str:
    kind = "negative" if text.startswith("'-") else "not a whole number"
    return f"feature id {text} is {kind}"


def _weights(texts: pl.Series, indptr: NDArray[np.int64]) -> NDArray[np.float32] | None:
    numbers = texts.cast(pl.Float32, strict=False)
    bad = texts.is_not_null() & ~numbers.is_finite().fill_null(value=False)
    if bad.any():
        at = np.flatnonzero(bad.to_numpy())
        rows = np.searchsorted(indptr, at, side="right") - 1
        raise BadRows(
            [
                (int(row), f"feature value {shown(texts[int(i)])} is not a number")
                for row, i in zip(rows, at, strict=True)
            ]
        )
    weights = numbers.fill_null(1.0).to_numpy()
    return None if (weights == 1).all() else weights


if TYPE_CHECKING:
    import rafm_datasets.sources.libfm as _this

    _source: Source = _this
