"""Source `criteo`: display ads of the Kaggle contest and of the 1 TB click logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.buckets import by_log
from rafm_datasets.columns import (
    Column,
    Parsed,
    binary_labels,
    convert,
    encode_text,
    no_labels,
    require,
)
from rafm_datasets.delimited import Dialect, read_delimited
from rafm_datasets.errors import DataError
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INTEGERS = tuple(f"I{i}" for i in range(1, 14))
CATEGORIES = tuple(f"C{i}" for i in range(1, 27))
INFO = SourceInfo(
    fields=(*INTEGERS, *CATEGORIES),
    task="classification",
    layout="train.txt or day_0..day_23: tabs, no header, label, 13 integers, 26 values",
    page="https://ailab.criteo.com/ressources/",
    licence="Criteo: non-commercial, no redistribution (1 TB logs: CC BY-NC-SA 4.0)",
    members=("train.txt", "day_*"),
)
_COLUMNS = ("label", *INFO.fields)


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Check the number of columns, as in `Source.dialect`."""
    n_columns = head.count(b"\t") + 1
    if n_columns == len(INFO.fields):
        if options.purpose == "encode":
            return Dialect(columns=INFO.fields)
        raise DataError(
            f"{name}, line 1: 39 columns, so this is a test file without labels; "
            "give train.txt or a day_ file"
        )
    return Dialect(columns=_COLUMNS)


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of the log, as in `Source.parse`."""
    del options
    frame = read_delimited(data, dialect)
    columns = {name: encode_text(frame[name]) for name in INFO.fields}
    for name in INTEGERS:
        columns[name] = _bucketed(columns[name], name)
    labels = no_labels(len(frame))
    if "label" in dialect.columns:
        labels = binary_labels(encode_text(frame["label"]))
    return Parsed(
        labels=labels,
        columns=columns,
        numbers=np.arange(len(frame)),
    )


def _bucketed(column: Column, name: str) -> Column:
    """Turn integers into categories: floor(log(x)^2) above 2, else themselves."""
    number = column.values.cast(pl.Int64, strict=False)
    require(column, number.is_not_null(), lambda text: f"{name} {text} is no integer")
    return convert(column, by_log(number))


if TYPE_CHECKING:
    import rafm_datasets.sources.criteo as _this

    _source: Source = _this
