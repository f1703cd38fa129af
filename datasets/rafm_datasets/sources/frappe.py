"""Source `frappe`: the raw log of app uses, with two seeded negatives for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_datasets.columns import encode_text, require_present
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.negatives import PER_POSITIVE, with_negatives
from rafm_datasets.sources import SourceInfo

if TYPE_CHECKING:
    from rafm_datasets.columns import Parsed
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
    whole=True,
    rows_per_record=1 + PER_POSITIVE,
)


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Check the header, as in `Source.dialect`."""
    del options
    return csv_dialect(name, head, INFO.fields, "the raw frappe.csv", "\t")


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read the positives and draw the negatives, as in `Source.parse`."""
    frame = read_delimited(data, dialect)
    columns = {name: encode_text(frame[name]) for name in INFO.fields}
    for name in ("user", "item"):
        require_present(columns[name], name)
    return with_negatives(columns, "item", options)


if TYPE_CHECKING:
    import rafm_datasets.sources.frappe as _this

    _source: Source = _this
