"""Source `frappe`: the raw log of app uses, with two seeded negatives for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.columns import Parsed, encode_text, require_present
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=(
        "user",
        "item",
        "daytime",
        "weekday",
        "isweekend",
        "homework",
        "cost",
        "weather",
        "country",
        "city",
    ),
    task="classification",
    layout="frappe.csv: tabs, header, every row a positive; the count `cnt` is dropped",
    page="https://github.com/irecsys/CARSKit/tree/master/context-aware_data_sets",
    licence="research only, no redistribution; cite Baltrunas et al. 2015",
    members=("frappe.csv",),
    choice="item",
)


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Check the header, as in `Source.dialect`."""
    del options
    return csv_dialect(name, head, INFO.fields, "the raw frappe.csv", "\t")


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check positives, as in `Source.parse`."""
    del options
    frame = read_delimited(data, dialect)
    columns = {name: encode_text(frame[name]) for name in INFO.fields}
    for name in ("user", "item"):
        require_present(columns[name], name)
    return Parsed(np.ones(len(frame), np.float32), columns, np.arange(len(frame)))


if TYPE_CHECKING:
    import rafm_datasets.sources.frappe as _this

    _source: Source = _this
