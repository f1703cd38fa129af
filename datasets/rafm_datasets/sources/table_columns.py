"""Columns of a described table: labels, times, and fields by their rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.buckets import by_edges, by_log, by_width
from rafm_datasets.columns import (
    Column,
    convert,
    encode_text,
    require,
    require_float32,
    require_present,
)
from rafm_datasets.description import TIME_UNITS
from rafm_datasets.sources.libfm import feature_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.description import TableDescription
    from rafm_datasets.field_rule import FieldRule

_MOMENT = (
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?"
    r" ?(?:Z|UTC|([+-])(\d{2}):?(\d{2}))?$"
)
_LATEST = 10**11  # seconds; the year 5138


def labels_of(column: Column, described: TableDescription) -> NDArray[np.float32]:
    """Read the labels, as the description says.

    Parameters
    ----------
    column : Column                    of texts
    described : TableDescription

    Returns
    -------
    float32[n]

    Raises
    ------
    BadRows                            missing, or not one of the texts or no number
    """
    name = described.label
    require_present(column, name)
    if described.positive:
        positive = column.values.is_in(described.positive)
        if described.negative:
            require(
                column,
                positive | column.values.is_in(described.negative),
                lambda text: f"{name} {text} is in neither positive nor negative",
            )
        return positive.to_numpy()[column.codes - 1].astype(np.float32)
    parsed = column.values.cast(pl.Float64, strict=False)
    require(
        column,
        parsed.is_finite(),
        lambda text: (
            f"{name} {text} is not a number (the description says by positive which "
            "texts count as 1)"
        ),
    )
    numbers = parsed.to_numpy()[column.codes - 1]
    if described.positive_from is not None:
        return (numbers >= described.positive_from).astype(np.float32)
    require_float32(column, name)
    return numbers.astype(np.float32)


def times_of(column: Column, described: TableDescription) -> NDArray[np.int64]:
    """Read the times: numbers of the description's unit, or dates in ISO form.

    Parameters
    ----------
    column : Column                    of texts
    described : TableDescription

    Returns
    -------
    int64[n]                           seconds since 1970; dates without offset are UTC

    Raises
    ------
    BadRows                            missing, or neither
    """
    name = described.time or ""
    require_present(column, name)
    numbers = column.values.cast(pl.Float64, strict=False)
    seconds = (numbers / TIME_UNITS[described.time_unit]).floor()
    near = seconds.abs() < _LATEST
    require(
        column,
        numbers.is_null() | near,
        lambda text: (
            f"{name} {text} is too large for a number of seconds (time_unit = "
            '"ms" in the description reads milliseconds)'
        ),
    )
    moments = _moments(column.values)
    seconds = seconds.cast(pl.Int64).zip_with(numbers.is_not_null(), moments)
    require(
        column,
        seconds.is_not_null(),
        lambda text: (
            f"{name} {text} is neither a number of seconds since 1970 nor a date such "
            "as 2024-01-31 or 2024-01-31T12:00:00"
        ),
    )
    return seconds.to_numpy()[column.codes - 1]


def _moments(texts: pl.Series) -> pl.Series:
    """Read dates and moments in ISO form as seconds; null where they are not."""
    part = {n: texts.str.extract(_MOMENT, n) for n in range(1, 7)}
    clock = part[2].fill_null("00:00") + ":" + part[3].fill_null("00")
    local = (part[1] + " " + clock).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    hours, minutes = (part[n].cast(pl.Int64).fill_null(0) for n in (5, 6))
    sign = pl.Series(np.where((part[4] == "-").fill_null(value=False), -1, 1))
    return local.dt.epoch("s") - sign * (hours * 3600 + minutes * 60)


def field_column(column: Column, name: str, rule: FieldRule) -> Column:
    """Make a field of a column of texts.

    Parameters
    ----------
    column : Column
    name : str                         of the field, for messages
    rule : FieldRule

    Returns
    -------
    Column

    Raises
    ------
    BadRows                            no number where one is needed, or an empty value
                                       before a weight
    """
    if rule.kind == "numeric":
        return _bucketed(column, name, rule)
    return _cut(column, name, rule) if rule.kind == "multi" else column


def _bucketed(column: Column, name: str, rule: FieldRule) -> Column:
    numbers = column.values.cast(pl.Float64, strict=False)
    require(column, numbers.is_finite(), lambda text: f"{name} {text} is not a number")
    if rule.edges:
        return convert(column, by_edges(numbers, rule.edges))
    if rule.width is not None:
        return convert(column, by_width(numbers, rule.width))
    return convert(column, by_log(numbers))


def _cut(column: Column, name: str, rule: FieldRule) -> Column:
    """Cut texts at the separator; a row without any value has one that is missing."""
    pieces = column.values.str.split(rule.separator or "")
    lengths = pieces.list.len().to_numpy().astype(np.int64)
    flat = pieces.list.explode(empty_as_null=False)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    filled = (flat != "").to_numpy()
    n_filled = np.diff(np.concatenate([[0], np.cumsum(filled)])[starts])
    filled[starts[:-1][n_filled == 0]] = True
    kept = flat.filter(pl.Series(filled, dtype=pl.Boolean))
    # Texts are distinct so far; now each row gets the pieces of its own.
    firsts = np.concatenate([[0], np.cumsum(filled)])[starts]
    sizes = np.concatenate([[1], np.diff(firsts)])  # code 0: one missing value
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[column.codes])])
    begins = np.concatenate([[-1], firsts[:-1]])[column.codes]
    entries = np.arange(indptr[-1]) + np.repeat(begins - indptr[:-1], np.diff(indptr))
    texts = pl.concat([kept, pl.Series([None], dtype=pl.String)]).gather(
        np.where(entries < 0, len(kept), entries)
    )
    return _weighted(texts.replace("", None), indptr, name, rule)


def _weighted(
    texts: pl.Series, indptr: NDArray[np.int64], name: str, rule: FieldRule
) -> Column:
    """Encode entries, each with a weight behind the last value separator, or 1."""
    weights = None
    if rule.value_separator is not None:
        mark = re.escape(rule.value_separator)
        pattern = f"(?s)^(.*){mark}(.*?)$"
        weights = feature_values(texts.str.extract(pattern, 2), indptr)
        texts = texts.str.extract(pattern, 1).fill_null(texts)
    column = encode_text(texts)._replace(indptr=indptr, weights=weights)
    require(column, column.values != "", lambda _: f"{name} has a weight without value")
    return column
