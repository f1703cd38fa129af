"""Source `movielens-tag`: tags given to films, with two seeded negatives for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.columns import Parsed, encode_text, require_present, times_of
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.sources import SourceInfo
from rafm_datasets.sources.movielens import whole_numbers

if TYPE_CHECKING:
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=("user", "item", "tag"),
    task="classification",
    layout="tags.dat (::) or tags.csv of any release, every row a positive",
    page="https://grouplens.org/datasets/movielens/",
    licence="GroupLens: research, no redistribution (ml-latest: under the same terms)",
    members=("tags.csv", "tags.dat"),
    timed=True,
    choice="tag",
)
_COLUMNS = ("userId", "movieId", "tag", "timestamp")


def dialect(name: str, head: bytes, options: PrepareOptions) -> Dialect:
    """Tell the release from the first line, as in `Source.dialect`."""
    del options
    if head.count(b"::") >= len(_COLUMNS) - 1:
        return Dialect(columns=_COLUMNS, separator="::")
    found = csv_dialect(name, head, _COLUMNS, "tags.dat or tags.csv")
    return replace(found, framing="quoted")


def parse(data: bytes, dialect: Dialect, options: PrepareOptions) -> Parsed:
    """Read and check positives, as in `Source.parse`."""
    del options
    frame = read_delimited(data, dialect)
    times = times_of(frame["timestamp"], "timestamp")
    tag = encode_text(frame["tag"])
    require_present(tag, "tag")
    columns = {
        "user": whole_numbers(frame["userId"], "user"),
        "item": whole_numbers(frame["movieId"], "movie"),
        "tag": tag,
    }
    labels = np.ones(len(frame), np.float32)
    return Parsed(labels, columns, np.arange(len(frame)), times)


if TYPE_CHECKING:
    import rafm_datasets.sources.movielens_tag as _this

    _source: Source = _this
