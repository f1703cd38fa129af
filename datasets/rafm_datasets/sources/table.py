"""Source `table`: a user's own CSV, TSV or Parquet file, described by a TOML file."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.columns import Parsed, encode_text, no_labels
from rafm_datasets.delimited import Dialect, read_delimited
from rafm_datasets.description import TableDescription, parse_description
from rafm_datasets.errors import DataError
from rafm_datasets.parquet_text import FIELD_END, parquet_names, with_line_ends
from rafm_datasets.raw import RawInput, first_line, open_text
from rafm_datasets.sources import SourceInfo
from rafm_datasets.sources.table_columns import field_column, labels_of, times_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_datasets.columns import Column
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=(),
    task=None,
    layout="your own CSV, TSV or Parquet; a TOML file (--describe) names the label, "
    "the time and the fields: categorical, numeric in buckets, or multi-valued",
    page="none: see `Your own data` in the README",
    licence="that of the data set",
    members=("*.csv", "*.tsv", "*.parquet"),
)
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SEPARATORS = {"csv": ",", "tsv": "\t"}


def settle_table(
    options: PrepareOptions, inputs: Sequence[RawInput]
) -> tuple[PrepareOptions, tuple[RawInput, ...]]:
    """Complete the description from the columns of the first file.

    Parameters
    ----------
    options : PrepareOptions           with a description
    inputs : sequence of RawInput

    Returns
    -------
    PrepareOptions, tuple of RawInput  every field named, task and counts of its own
                                       among the options; Parquet files known as such

    Raises
    ------
    DataError                          no field is left, or what the description says
                                       does not go with the options or the file
    """
    described = _description(options)
    inputs = tuple(_known(item, described) for item in inputs)
    if described.open:
        described = described.closed(_columns_of(inputs[0], described))
        described = parse_description(described.content)
    if not described.fields:
        raise DataError(
            f"{inputs[0].label} has no column besides label, time and those that the "
            "description ignores; leave one to be a field"
        )
    if described.task and options.task not in (None, described.task):
        raise DataError(
            f"the description says task = {described.task}, not {options.task}; leave "
            "--task out"
        )
    least = {n: r.min_count for n, r in described.fields.items() if r.min_count}
    options = replace(
        options,
        description=described,
        task=options.task or described.task,
        field_min_counts=least | dict(options.field_min_counts),
    )
    return options, tuple(replace(i, columns=described.wanted) for i in inputs)


def table_info(described: TableDescription) -> SourceInfo:
    """Tell what `INFO` leaves to the description."""
    return replace(
        INFO,
        fields=tuple(described.fields),
        lists=any(rule.kind == "multi" for rule in described.fields.values()),
        timed=described.time is not None,
    )


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Check the header against the description, as in `Source.dialect`."""
    described = _description(options)
    found = _dialect(name, head, described)
    needed = described.wanted
    if options.purpose == "encode":  # label and time may be absent then
        needed = tuple(name for name in needed if name in described.fields)
    missing = [column for column in needed if column not in found.columns]
    twice = len(set(found.columns)) < len(found.columns)
    if missing or twice:
        what = f"lacks {', '.join(missing)}" if missing else "names a column twice"
        raise DataError(
            f"{name}: columns in the description {what}; mend it there"
            if described.columns
            else f"{name}, line 1: the header {what} (it reads {head[:80]!r}); mend "
            "the description, or if there is no header, give it columns = [...]"
        )
    return found


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check rows of the table, as in `Source.parse`."""
    described = _description(options)
    frame = read_delimited(data, dialect)
    texts = {
        name: _texts(frame[name], dialect)
        for name in described.wanted
        if name in dialect.columns
    }
    time = described.time if described.time in texts else None
    labels = no_labels(len(frame))
    if described.label in texts:
        labels = labels_of(texts[described.label], described)
    return Parsed(
        labels=labels,
        columns={
            name: field_column(texts[name], name, rule)
            for name, rule in described.fields.items()
        },
        numbers=np.arange(len(frame)),
        times=None if time is None else times_of(texts[time], described),
    )


def _texts(texts: pl.Series, dialect: Dialect) -> Column:
    """Encode a column; a quoted value without text is missing too."""
    column = encode_text(texts)
    values = column.values
    if dialect.separator == FIELD_END:
        values = with_line_ends(values)
    elif (values == "").any():
        values = pl.select(pl.when(values != "").then(values)).to_series()
    else:
        return column
    kept = encode_text(values)
    codes = np.concatenate([np.zeros(1, np.int32), kept.codes])[column.codes]
    return column._replace(codes=codes, values=kept.values)


def _description(options: PrepareOptions) -> TableDescription:
    if options.description is None:
        raise TypeError("source table has no description")  # PrepareOptions sees to it
    return options.description


def _known(item: RawInput, described: TableDescription) -> RawInput:
    if _format(item.name, described) != "parquet":
        return item
    if item.packing not in ("plain", "parquet"):
        raise DataError(
            f"{item.label} is Parquet within an archive, where it cannot be read in "
            "parts; unpack it"
        )
    return replace(item, packing="parquet")


def _format(name: str, described: TableDescription) -> str:
    ending = name[name.rfind(".") :].lower()
    found = described.format or _ENDINGS.get(ending)
    if found is None:
        raise DataError(
            f"the format of {name} cannot be told from its name; write format = "
            '"csv", "tsv" or "parquet" in the description'
        )
    return found


def _columns_of(item: RawInput, described: TableDescription) -> tuple[str, ...]:
    if item.packing == "parquet":
        with open_text(replace(item, packing="plain")) as file:
            return parquet_names(file, item.label)
    head = first_line(item)
    if not head and not described.columns:
        raise DataError(
            f"{item.label} is empty or begins with an empty line; give a file that has "
            "rows"
        )
    return _dialect(item.name, head, described).columns


def _dialect(name: str, head: bytes, described: TableDescription) -> Dialect:
    form = _format(name, described)
    if form == "parquet":
        names = head.decode().split(FIELD_END)
        return Dialect(columns=tuple(names), separator=FIELD_END, header_lines=1)
    separator = described.separator or _SEPARATORS[form]
    quoted = described.quoted
    if quoted is None:
        quoted = form == "csv" and len(separator) == 1
    columns = described.columns or _header(head, separator, quoted=quoted)
    return Dialect(
        columns=columns,
        separator=separator,
        header_lines=0 if described.columns else 1,
        framing="quoted" if quoted else "line",
    )


def _header(head: bytes, separator: str, *, quoted: bool) -> tuple[str, ...]:
    text = head.decode("utf-8", "replace")
    if not quoted:
        return tuple(text.split(separator))
    return tuple(next(csv.reader([text], delimiter=separator), []))


if TYPE_CHECKING:
    import rafm_datasets.sources.table as _this

    _source: Source = _this
