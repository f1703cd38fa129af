"""Second pass: the distinct values of all chunks made one list for each field.

A field whose values outgrow a task's memory is cut into ranges of values. The lists of
the chunks are sorted, so a range is a slice of each of them and nothing is read twice;
ranges of a field in turn are sorted, so no list is ever collected in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from rafm_datasets.arrays import save_arrays
from rafm_datasets.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

COUNT_NAMES = ("train_count", "valid_count", "test_count")
_BYTES_PER_ENTRY = 160  # of memory while a range is merged, measured on short values
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class ValueList:
    """Sorted distinct values of one field in one chunk: batch `batch` of a file."""

    path: str
    batch: int
    n_values: int

    def read(self) -> pa.RecordBatch:
        """Map value, code and counts; only what is looked at is read."""
        with pa.memory_map(self.path) as file:
            return pa.ipc.open_file(file).get_batch(self.batch)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of one field's values: `low` <= value < `high`; None is no bound.

    Its files are `.values` (one list with counts), `.index` (for each entry of each
    chunk's list its place in that one list) and, written last, `.histogram`.
    """

    field: int
    number: int
    low: str | None
    high: str | None
    lists: tuple[ValueList, ...]

    def path(self, folder: Path, kind: str) -> Path:
        """Give the name of one of its files."""
        return folder / f"{self.field:05d}-{self.number:05d}.{kind}"

    def slice_of(self, values: pl.Series) -> tuple[int, int]:
        """Find the range within sorted values: start and stop."""
        start = 0 if self.low is None else _place(values, self.low)
        return start, len(values) if self.high is None else _place(values, self.high)


def cut_into_ranges(
    field: int, lists: Sequence[ValueList], memory: int
) -> tuple[Range, ...]:
    """Cut a field's values into ranges that each merge within `memory` bytes.

    Parameters
    ----------
    field : int                        index of the field
    lists : sequence of ValueList      of the chunks that have the field
    memory : int                       bytes a task may use

    Returns
    -------
    tuple of Range                     in the order of their values
    """
    n_entries = sum(item.n_values for item in lists)
    n_ranges = -(-n_entries * _BYTES_PER_ENTRY // memory)
    bounds = _quantiles(lists, n_ranges) if n_ranges > 1 else []
    edges = [None, *bounds, None]
    return tuple(
        Range(field, number, edges[number], edges[number + 1], tuple(lists))
        for number in range(len(edges) - 1)
    )


def merge_range(part: Range, folder: Path) -> None:
    """Merge one range of all chunks' lists; its `.histogram` marks it done.

    Parameters
    ----------
    part : Range
    folder : Path                      of the work files
    """
    batches, starts = [], [0]
    for item in part.lists:
        batch = item.read()
        start, stop = part.slice_of(_texts(batch))
        batches.append(batch.slice(start, stop - start))
        starts.append(starts[-1] + stop - start)
    table = pa.Table.from_batches(batches)
    values, index = _distinct(table["value"])
    sums = [
        np.bincount(index, table[name].to_numpy(), len(values))
        for name in (*COUNT_NAMES, "train_label_sum")
    ]
    counts = [column.astype(np.int64) for column in sums[:3]]
    with replacing(part.path(folder, "index")) as temporary:
        temporary.write_bytes(index.data)
    merged = pa.table([values, *counts, sums[3]], [*COLUMNS])
    write_table(part.path(folder, "values"), merged)
    in_train = np.unique_counts(counts[0])
    in_all = np.unique_counts(counts[0] + counts[1] + counts[2])
    save_arrays(part.path(folder, "histogram"), [np.array(starts), *in_train, *in_all])


COLUMNS = ("value", *COUNT_NAMES, "train_label_sum")


def write_table(path: Path, table: pa.Table, batch_rows: int | None = None) -> None:
    """Write a table as an Arrow file, whole or not at all."""
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=batch_rows)


def read_table(path: Path) -> pa.Table:
    """Read a table of `write_table`."""
    with pa.OSFile(str(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()


def _distinct(values: Any) -> tuple[Any, NDArray[np.int32]]:
    """Sort the distinct values; give the place of each entry among them."""
    encoded = values.combine_chunks().dictionary_encode()
    order = pl.Series(encoded.dictionary).arg_sort().to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(order), rank[encoded.indices.to_numpy()]


def _quantiles(lists: Sequence[ValueList], n_ranges: int) -> list[str]:
    """Choose bounds that cut the entries of all lists about evenly."""
    step = max(1, sum(item.n_values for item in lists) // (_SAMPLE * n_ranges))
    samples = [_texts(item.read()).gather_every(step) for item in lists]
    sample = pl.concat(samples).sort()
    places = np.linspace(0, len(sample), n_ranges + 1)[1:-1].astype(np.int64)
    bounds: list[str] = sample.gather(places).unique().sort().to_list()
    return bounds


def _texts(batch: pa.RecordBatch) -> pl.Series:
    return pl.Series(batch.column("value"))


def _place(values: pl.Series, bound: str) -> int:
    return int(values.set_sorted().search_sorted(bound, "left"))
