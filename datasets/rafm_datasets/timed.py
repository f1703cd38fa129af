"""Chunks held until something is known of all: the last time, or every positive.

Time splits cannot be told, nor negatives be drawn, while the raw files are read, for
the end is not seen yet. So a chunk is parsed, sorted by time if that splits the rows,
and written as codes; once all are, the chunks are counted. No text is read twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from rafm_datasets.arrays import load_arrays, narrow, save_arrays
from rafm_datasets.columns import Column, Parsed
from rafm_datasets.files import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.scan import ChunkRef

_ARRAYS_PER_COLUMN = 5


@dataclass(frozen=True, slots=True)
class Held:
    """A parsed chunk that waits to be counted: its rows, last time and fields.

    Row number n is line n + `first_line` of the file `label`.
    """

    number: int
    label: str
    split: str | None
    first_line: int
    rows: tuple[int]
    last_time: int | None
    refused: int
    multi: dict[str, bool]  # by field: may it hold several values

    def path(self, folder: Path) -> Path:
        """Give the name of the work file with its arrays."""
        return folder / f"{self.number:06d}.held"


def hold(ref: ChunkRef, parsed: Parsed, n_refused: int, folder: Path) -> Held:
    """Write a parsed chunk; its `.held.json` is written last and marks it done.

    Parameters
    ----------
    ref : ChunkRef
    parsed : Parsed                    in time order, if there is one
    n_refused : int
    folder : Path                      of the work files

    Returns
    -------
    Held
    """
    times = _times(parsed)
    held = Held(
        ref.number,
        ref.label,
        ref.split,
        ref.first_line - ref.first_row,
        (len(parsed.labels),),
        int(times[-1]) if len(times) else None,
        n_refused,
        {name: c.indptr is not None for name, c in parsed.columns.items()},
    )
    arrays: list[NDArray[Any]] = [parsed.labels, parsed.numbers, times]
    for column in parsed.columns.values():
        arrays += _to_arrays(column)
    save_arrays(held.path(folder), arrays)
    write_json(folder / f"{ref.number:06d}.held.json", asdict(held))
    return held


def load_held(path: Path) -> Held:
    """Read back what `hold` returned, from its `.held.json`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rows"] = tuple(content["rows"])
    return Held(**content)


def load_parsed(held: Held, folder: Path) -> Parsed:
    """Read back the chunk that `hold` wrote.

    Parameters
    ----------
    held : Held
    folder : Path                      of the work files

    Returns
    -------
    Parsed                             as it was held
    """
    labels, numbers, times, *rest = load_arrays(held.path(folder))
    columns = {
        name: _to_column(rest[place : place + _ARRAYS_PER_COLUMN], multi=multi)
        for place, (name, multi) in zip(
            range(0, len(rest), _ARRAYS_PER_COLUMN), held.multi.items(), strict=True
        )
    }
    return Parsed(labels, columns, numbers, times if len(times) else None)


def split_bounds(held: Sequence[Held], options: PrepareOptions) -> tuple[int, int]:
    """Find the time at which validation begins, and the one at which test does.

    Parameters
    ----------
    held : sequence of Held            all chunks
    options : PrepareOptions           its period and holdout

    Returns
    -------
    int, int                           the periods before the end of the last hour or
                                       day of all
    """
    last = max((h.last_time for h in held if h.last_time is not None), default=0)
    length, unit = options.period_seconds
    end = (last // unit + 1) * unit
    n_valid, n_test = options.periods[1]
    return end - (n_valid + n_test) * length, end - n_test * length


def in_time_order(parsed: Parsed) -> NDArray[np.int64]:
    """Order the rows of a chunk by time, equal times by row number."""
    return np.argsort(_times(parsed), kind="stable")


def _times(parsed: Parsed) -> NDArray[np.int64]:
    return np.empty(0, np.int64) if parsed.times is None else parsed.times


def _to_arrays(column: Column) -> list[NDArray[Any]]:
    values: Any = column.values.to_arrow().cast(pa.large_string())
    _, offsets, text = values.buffers()
    unit = np.empty(0, np.float32) if column.weights is None else column.weights
    return [
        narrow(column.codes, len(column.values) + 1),
        np.frombuffer(offsets, np.int64)[: len(column.values) + 1],
        np.frombuffer(text or b"", np.uint8),
        np.empty(0, np.int64) if column.indptr is None else column.indptr,
        unit,
    ]


def _to_column(arrays: Sequence[NDArray[Any]], *, multi: bool) -> Column:
    codes, offsets, text, indptr, weights = arrays
    buffers = [pa.py_buffer(offsets.data), pa.py_buffer(text.data)]
    values = pa.LargeStringArray.from_buffers(len(offsets) - 1, buffers[0], buffers[1])
    return Column(
        codes.astype(np.int32),
        pl.Series("value", values, dtype=pl.String),
        indptr if multi else None,
        weights if len(weights) else None,
    )
