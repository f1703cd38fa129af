"""Source `avazu`: clicks on mobile ads, the train.csv of the Kaggle contest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.columns import (
    Column,
    Parsed,
    binary_labels,
    convert,
    encode_text,
    no_labels,
    require,
    require_present,
)
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.errors import DataError
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

_HOUR = ("hour", "weekday")
_VALUES = (
    "C1",
    "banner_pos",
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
    "device_type",
    "device_conn_type",
    *(f"C{i}" for i in range(14, 22)),
)
INFO = SourceInfo(
    fields=(*_HOUR, *_VALUES),
    task="classification",
    layout="train.csv: commas, header; id is dropped, hour split (or --hour drop)",
    page="https://www.kaggle.com/c/avazu-ctr-prediction/data",
    licence="rules of the Kaggle contest; no licence of the data is stated",
    members=("train.csv", "train"),
    timed=True,
)
_COLUMNS = ("id", "click", "hour", *_VALUES)


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Check the header, as in `Source.dialect`."""
    columns = head.decode("utf-8", "replace").split(",")
    if "click" not in columns and "hour" in columns:
        if options.purpose == "encode":
            wanted = tuple(name for name in _COLUMNS if name != "click")
            return csv_dialect(name, head, wanted, "the raw test.csv")
        raise DataError(
            f"{name}, line 1: there is no column click, so this is a test file "
            "without labels; give train.csv"
        )
    return csv_dialect(name, head, _COLUMNS, "the raw train.csv")


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of the log, as in `Source.parse`."""
    frame = read_delimited(data, dialect)
    hour = encode_text(frame["hour"])
    require_present(hour, "hour")
    moments = _moments(hour)
    columns = {} if options.hour == "drop" else _split(hour, moments)
    columns |= {name: encode_text(frame[name]) for name in _VALUES}
    seconds = moments.dt.epoch("s").to_numpy()
    labels = no_labels(len(frame))
    if "click" in dialect.columns:
        labels = binary_labels(encode_text(frame["click"]), "click")
    return Parsed(
        labels=labels,
        columns=columns,
        numbers=np.arange(len(frame)),
        times=seconds[hour.codes - 1],
    )


def _moments(hour: Column) -> pl.Series:
    """Read the distinct hours, written YYMMDDHH."""
    digits = hour.values.str.contains(r"^\d{8}$")
    moments = (hour.values + "00").str.to_datetime("%y%m%d%H%M", strict=False)
    require(
        hour,
        digits & moments.is_not_null(),
        lambda text: f"hour {text} is not of the form YYMMDDHH",
    )
    return moments


def _split(hour: Column, moments: pl.Series) -> dict[str, Column]:
    """Turn the hour of the log into hour of day (0 to 23) and weekday."""
    parts = {
        "hour": moments.dt.hour().cast(pl.String),
        "weekday": moments.dt.strftime("%A").str.to_lowercase(),
    }
    return {name: convert(hour, parts[name]) for name in _HOUR}


if TYPE_CHECKING:
    import rafm_datasets.sources.avazu as _this

    _source: Source = _this
