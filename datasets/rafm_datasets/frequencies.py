"""Third pass: ids of every value, and frequencies.parquet in the order of the ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rafm_datasets.arrays import load_arrays, save_arrays
from rafm_datasets.files import replacing, sha256_of
from rafm_datasets.manifest import DataFile
from rafm_datasets.vocabulary import COLUMNS, COUNT_NAMES, read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.numbering import RangeIds
    from rafm_datasets.vocabulary import Range

FREQUENCIES_NAME = "frequencies.parquet"
_RUN_ROWS = 1 << 14
_GROUP_ROWS = 1 << 17
_COLUMN_TYPES: list[tuple[str, pa.DataType]] = [
    ("id", pa.int32()),
    ("field", pa.string()),
    ("value", pa.large_string()),
    ("kind", pa.string()),
    *zip(COUNT_NAMES, [pa.int64()] * len(COUNT_NAMES), strict=True),
    ("train_label_sum", pa.float64()),
]
SCHEMA = pa.schema(_COLUMN_TYPES)


@dataclass(frozen=True, slots=True)
class RangeSums:
    """Train, valid and test counts and the train label sum of a range's values."""

    kept: tuple[float, ...]
    rare: tuple[float, ...]


def assign_ids(
    ids: RangeIds, field: str, folder: Path, *, count_all: bool, plus_minus: bool
) -> None:
    """Give each value of a range its id; its `.sums` marks it done.

    Parameters
    ----------
    ids : RangeIds
    field : str                        name of the field
    folder : Path                      of the work files
    count_all : bool                   rank by the counts of all splits, not of train
    plus_minus : bool                  labels are -1 and 1 and become 0 and 1
    """
    table = read_table(ids.part.path(folder, "values"))
    if plus_minus:
        halved = zero_one_sum(table["train_label_sum"], table["train_count"])
        table = table.set_column(len(COLUMNS) - 1, COLUMNS[-1], halved)
    columns = [table[name].to_numpy() for name in (*COUNT_NAMES, "train_label_sum")]
    counts = np.sum(columns[:3], axis=0) if count_all else columns[0]
    place = np.searchsorted(ids.counts, counts)
    kept = np.flatnonzero(np.isin(counts, ids.counts))
    kept = kept[np.argsort(-counts[kept], kind="stable")]
    place = place[kept]
    firsts = np.searchsorted(-counts[kept], -counts[kept], side="left")
    new = (ids.bases[place] + np.arange(len(kept)) - firsts).astype(np.int32)
    id_of = np.full(len(counts), ids.rare_id, np.int32)
    id_of[kept] = new
    with replacing(ids.part.path(folder, "ids")) as temporary:
        temporary.write_bytes(id_of.data)
    run = table.take(kept).add_column(0, "id", pa.array(new))
    run = _with_names(run, field, "value")
    write_table(ids.part.path(folder, "run"), run, _RUN_ROWS)
    dropped = np.ones(len(counts), np.bool_)
    dropped[kept] = False
    sums = [[column[rows].sum() for column in columns] for rows in (~dropped, dropped)]
    save_arrays(ids.part.path(folder, "sums"), [np.array(sums, np.float64)])


def zero_one_sum(label_sum: Any, count: Any) -> Any:
    """Turn a sum of labels -1 and 1 into that of labels 0 and 1."""
    return pc.divide(pc.add(label_sum, pc.cast(count, pa.float64())), 2.0)


def range_sums(part: Range, folder: Path) -> RangeSums:
    """Read what the values of a range sum up to, kept and rare ones apart."""
    (sums,) = load_arrays(part.path(folder, "sums"))
    return RangeSums(*(tuple(row) for row in sums.tolist()))


def reserved_table(
    field: str, kind: str, feature: int, sums: Sequence[float]
) -> pa.Table:
    """Make the one row of frequencies.parquet of a reserved feature."""
    counts = [[int(count)] for count in sums[:3]]
    table = pa.table(
        [
            pa.array([feature], pa.int32()),
            pa.array([None], pa.large_string()),
            *counts,
            [sums[3]],
        ],
        ["id", "value", *COUNT_NAMES, "train_label_sum"],
    )
    return _with_names(table, field, kind)


def write_frequencies(
    out: Path, parts: Sequence[Range], reserved: pa.Table, n_features: int, folder: Path
) -> DataFile:
    """Merge the runs of all ranges, sorted by id, into frequencies.parquet.

    Parameters
    ----------
    out : Path                         the prepared folder
    parts : sequence of Range          with ids assigned
    reserved : pyarrow.Table           rows of the reserved features
    n_features : int
    folder : Path                      of the work files

    Returns
    -------
    DataFile
    """
    runs = [_run_batches(part.path(folder, "run")) for part in parts]
    runs.append(iter([reserved.sort_by("id")]))
    held = [SCHEMA.empty_table()] * len(runs)
    path = out / FREQUENCIES_NAME
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
    ):
        for first in range(0, n_features, _GROUP_ROWS):
            pieces = []
            for number, run in enumerate(runs):
                below, held[number] = _take_below(
                    held[number], run, first + _GROUP_ROWS
                )
                pieces.append(below)
            writer.write_table(pa.concat_tables(pieces).sort_by("id"))
    return DataFile(FREQUENCIES_NAME, n_features, sha256_of(path))


def _run_batches(path: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(path), "rb") as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])


def _take_below(
    held: pa.Table, run: Iterator[pa.Table], bound: int
) -> tuple[pa.Table, pa.Table]:
    """Take the rows of a run with ids below `bound`; return them and what is left."""
    while not len(held) or held["id"][-1].as_py() < bound:
        more = next(run, None)
        if more is None:
            return held, held.slice(len(held))
        held = pa.concat_tables([held, more])
    n_below = int((held["id"].to_numpy() < bound).sum())
    return held.slice(0, n_below), held.slice(n_below)


def _with_names(table: pa.Table, field: str, kind: str) -> pa.Table:
    names = {"field": field, "kind": kind}
    for name, text in names.items():
        table = table.append_column(name, pa.array([text] * len(table), pa.string()))
    return table.select(SCHEMA.names).cast(SCHEMA)


def entry_ids(parts: Sequence[Range], chunk: int, folder: Path) -> NDArray[np.int32]:
    """Look up the ids of one chunk's list of one field's values.

    Parameters
    ----------
    parts : sequence of Range          all ranges of the field, in order
    chunk : int                        which of their lists
    folder : Path                      of the work files

    Returns
    -------
    int32[n_values]                    in the order of the list
    """
    found = []
    for part in parts:
        (starts,) = load_arrays(part.path(folder, "histogram"), 1)
        start, stop = int(starts[chunk]), int(starts[chunk + 1])
        index = np.fromfile(
            part.path(folder, "index"), np.int32, stop - start, offset=4 * start
        )
        found.append(np.fromfile(part.path(folder, "ids"), np.int32)[index])
    return np.concatenate(found)
