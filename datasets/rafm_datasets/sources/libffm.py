"""Source `libffm`: libFFM text, `label field:id:value ...` or `label field:id ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.columns import Column, Parsed
from rafm_datasets.sources import SourceInfo
from rafm_datasets.sources.libfm import (
    LINE,
    feature_values,
    split_lines,
    whole_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_datasets.delimited import Dialect
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=(),
    task=None,
    layout="text, a row a line: label, then field:id:value or field:id, blanks between",
    page="https://www.csie.ntu.edu.tw/~cjlin/libffm/",
    licence="that of the data set",
    lists=True,
)


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell how a file is written, as in `Source.dialect`: always the same here."""
    del name, head, options
    return LINE


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of libFFM text, as in `Source.parse`."""
    del options
    labels, entries, indptr = split_lines(data, dialect)
    parts = entries.str.splitn(":", 3).struct.unnest()
    fields = whole_numbers(parts["field_0"], indptr, "field")
    ids = whole_numbers(parts["field_1"], indptr, "feature id")
    weights = feature_values(parts["field_2"], indptr)
    columns = dict(_by_field(fields, ids._replace(weights=weights), len(labels)))
    return Parsed(labels=labels, columns=columns, numbers=np.arange(len(labels)))


def _by_field(
    fields: Column, whole: Column, n_rows: int
) -> Iterator[tuple[str, Column]]:
    """Give each field its own entries, and of the ids those that it has."""
    lengths = np.diff(whole.indptr if whole.indptr is not None else np.empty(0))
    row_of = np.repeat(np.arange(n_rows), lengths)
    for code, name in enumerate(fields.values.to_list(), 1):
        at = np.flatnonzero(fields.codes == code)
        used, codes = np.unique(whole.codes[at], return_inverse=True)
        per_row = np.bincount(row_of[at], minlength=n_rows)
        yield (
            name,
            Column(
                codes.astype(np.int32) + np.int32(1),
                whole.values.gather(pl.Series(used - 1)),
                np.concatenate([np.zeros(1, np.int64), np.cumsum(per_row)]),
                None if whole.weights is None else whole.weights[at],
            ),
        )


if TYPE_CHECKING:
    import rafm_datasets.sources.libffm as _this

    _source: Source = _this
