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
    require_float32,
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
LINE = Dialect(columns=("line",), separator="\x1e")
_UNTIDY = (b"  ", b"\t", b" \n", b" \r", b"\n ")


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell how a file is written, as in `Source.dialect`: always the same here."""
    del name, head, options
    return LINE


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of libFM text, as in `Source.parse`."""
    del options
    labels, entries, indptr = split_lines(data, dialect)
    weights = None
    if b":" in data:
        parts = entries.str.splitn(":", 2).struct.unnest()
        entries = parts["field_0"]
        weights = feature_values(parts["field_1"], indptr)
    column = whole_numbers(entries, indptr, "feature id")
    return Parsed(
        labels=labels,
        columns={"feature": column._replace(weights=weights)},
        numbers=np.arange(len(labels)),
    )


def split_lines(
    data: bytes, dialect: Dialect
) -> tuple[NDArray[np.float32], pl.Series, NDArray[np.int64]]:
    """Split rows into labels and entries.

    Parameters
    ----------
    data : bytes                       whole lines
    dialect : Dialect

    Returns
    -------
    float32[n], String[n_entries], int64[n + 1]
                                       labels, texts of the entries, and where those
                                       of each row begin

    Raises
    ------
    BadRows                            a label that is no number; blank lines
    """
    tokens = _lines(data, dialect).str.split(" ")
    lengths = tokens.list.len().to_numpy().astype(np.int64)
    flat = tokens.list.explode(empty_as_null=False)
    ends = np.cumsum(lengths)
    is_label = np.zeros(len(flat), np.bool_)
    is_label[ends - lengths] = True
    column = encode_text(flat.filter(pl.Series(is_label)))
    labels = numbers_of(column, "label")
    require_float32(column, "label")
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths - 1)])
    return labels.astype(np.float32), flat.filter(pl.Series(~is_label)), indptr


def _lines(data: bytes, dialect: Dialect) -> pl.Series:
    lines = read_delimited(data, dialect)["line"]
    if data[:1] == b" " or any(mark in data for mark in _UNTIDY):
        lines = lines.str.replace_all(r"[ \t]+", " ").str.strip_chars(" ")
    blank = np.flatnonzero((lines.is_null() | (lines == "")).to_numpy())
    if len(blank):
        raise BadRows([(row, "") for row in blank.tolist()])
    return lines


def whole_numbers(texts: pl.Series, indptr: NDArray[np.int64], name: str) -> Column:
    """Encode entries that must be whole numbers, not negative.

    Parameters
    ----------
    texts : String[n_entries]          null is refused like other texts
    indptr : int64[n + 1]              where the entries of each row begin
    name : str                         what they are, for the message

    Returns
    -------
    Column                             without weights

    Raises
    ------
    BadRows
    """

    def reason(text: str) -> str:
        kind = "negative" if text.startswith("'-") else "not a whole number"
        return f"{name} {text} is {kind}"

    column = encode_text(texts.fill_null(""))._replace(indptr=indptr)
    numbers = column.values.cast(pl.UInt64, strict=False)
    require(column, numbers.is_not_null(), reason)
    return convert(column, numbers.cast(pl.String))


def feature_values(
    texts: pl.Series, indptr: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Read the values of entries, null for 1; None when all are 1; else `BadRows`."""
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
