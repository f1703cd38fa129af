"""Source `movielens-tag`: tags given to films, with two seeded negatives for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.columns import encode_text, numbers_of, require_present
from rafm_datasets.delimited import Dialect, csv_dialect, read_delimited
from rafm_datasets.negatives import PER_POSITIVE, with_negatives
from rafm_datasets.sources import SourceInfo
from rafm_datasets.sources.movielens import whole_numbers

if TYPE_CHECKING:
    from rafm_datasets.columns import Parsed
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

INFO = SourceInfo(
    fields=("user", "item", "tag"),
    task="classification",
    layout="tags.dat (::) or tags.csv of any release, every row a positive",
    page="https://grouplens.org/datasets/movielens/",
    licence="GroupLens: research, no redistribution (ml-latest: under the same terms)",
    members=("tags.csv", "tags.dat"),
    whole=True,
    timed=True,
    rows_per_record=1 + PER_POSITIVE,
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
    """Read the positives and draw the negatives, as in `Source.parse`."""
    frame = read_delimited(data, dialect)
    times = numbers_of(encode_text(frame["timestamp"]), "timestamp").astype(np.int64)
    tag = encode_text(frame["tag"])
    require_present(tag, "tag")
    columns = {
        "user": whole_numbers(frame["userId"], "user"),
        "item": whole_numbers(frame["movieId"], "movie"),
        "tag": tag,
    }
    parsed = with_negatives(columns, "tag", options)
    return parsed._replace(times=times[parsed.numbers // INFO.rows_per_record])


if TYPE_CHECKING:
    import rafm_datasets.sources.movielens_tag as _this

    _source: Source = _this
