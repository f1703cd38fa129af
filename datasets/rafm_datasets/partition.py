"""Last pass: one partition gathered from all encoded chunks, written as Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rafm_datasets.arrays import entries_of, load_arrays
from rafm_datasets.files import replacing, sha256_of, write_json
from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.splits import place_keys, row_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_datasets.encode import Layout
    from rafm_datasets.options import PrepareOptions

# Of memory while a partition is written; measured were 126 bytes a row with 2 columns,
# 348 with 39, 308 with lists of 16 ids and values.
BYTES_PER_ROW, BYTES_PER_ENTRY = 110, 13
_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Partition:
    """One file to write: which part of which split, from which chunks.

    `last_row` is the highest row number of the split.
    """

    split: str
    number: int
    chunks: tuple[int, ...]
    last_row: int

    @property
    def name(self) -> str:
        """Name of the file, relative to the prepared folder."""
        return f"{self.split}/part-{self.number:05d}.parquet"

    def marker(self, folder: Path) -> Path:
        """Give the name of the work file that marks it done."""
        return folder / f"{self.split}-{self.number:05d}.written"


def write_partition(
    part: Partition,
    fields: Sequence[str],
    layout: Layout,
    options: PrepareOptions,
    folder: Path,
) -> None:
    """Gather, sort and write one partition; its marker is written last.

    Parameters
    ----------
    part : Partition
    fields : sequence of str           names of the fields, in order
    layout : Layout
    options : PrepareOptions           `out` is the folder written to
    folder : Path                      of the work files
    """
    pieces = _Pieces(part, layout, len(fields), folder)
    numbers = pieces.gather("numbers", np.int64)
    if row_order(part.split, options) == "time":
        keys = pieces.gather("times", np.int64)  # equal ones are by row number already
    else:
        keys = place_keys(numbers, part.split, options)
    order = np.argsort(keys, kind="stable")
    labels = pieces.gather("labels", np.float32)[order]
    columns: dict[str, Any] = {"label": labels}
    if layout.lists:
        columns |= _list_columns(pieces, order, layout)
    else:
        columns |= dict(zip(fields, _id_columns(pieces, order), strict=True))
    path = Path(options.out) / part.name
    with replacing(path) as temporary:
        _write_table(temporary, pa.table(columns), layout)
    record = {
        "name": part.name,
        "rows": len(labels),
        "sha256": sha256_of(path),
        "displacement_sum": _displacement(numbers[order], part, options, layout),
    }
    write_json(part.marker(folder), record)


class _Pieces:
    """The rows of a partition in every chunk, as slices of the chunks' work files."""

    def __init__(
        self, part: Partition, layout: Layout, n_fields: int, folder: Path
    ) -> None:
        self._n_fields = n_fields
        self._slices = []
        index = SPLIT_NAMES.index(part.split)
        for chunk in part.chunks:
            stem = folder / f"{chunk:06d}"
            cuts = load_arrays(stem.with_suffix(".cuts"))[index]
            start, stop = int(cuts[part.number]), int(cuts[part.number + 1])
            if stop > start:
                self._slices.append((stem, start, stop))

    def gather(self, kind: str, dtype: type, width: int = 1) -> NDArray[Any]:
        """Read `width` items a row, from all chunks."""
        total = sum(stop - start for _, start, stop in self._slices)
        found: NDArray[Any] = np.empty(total * width, dtype)
        done = 0
        for stem, start, stop in self._slices:
            size = (stop - start) * width
            offset = start * width * found.itemsize
            _read_into(found[done : done + size], stem.with_suffix(f".{kind}"), offset)
            done += size
        return found

    def matrix(self) -> NDArray[np.int32]:
        """Read the ids as int32[n_rows, n_fields]."""
        return self.gather("ids", np.int32, self._n_fields).reshape(-1, self._n_fields)

    def entries(self, kind: str, dtype: type) -> NDArray[Any]:
        """Read the items of list rows, from all chunks."""
        found: list[NDArray[Any]] = []
        for stem, start, stop in self._slices:
            lengths = np.fromfile(stem.with_suffix(".lengths"), np.int64, stop)
            first, size = int(lengths[:start].sum()), int(lengths[start:].sum())
            path = stem.with_suffix(f".{kind}")
            found.append(
                np.fromfile(path, dtype, size, offset=first * np.dtype(dtype).itemsize)
            )
        return np.concatenate(found) if found else np.empty(0, dtype)


def _read_into(target: NDArray[Any], path: Path, offset: int) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        view = memoryview(target.data).cast("B")
        done = 0
        while done < len(view):
            n_read = file.readinto(view[done:])
            if not n_read:
                raise EOFError(f"{path} ends before byte {offset + len(view)}")
            done += n_read


def _id_columns(pieces: _Pieces, order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Turn rows in `order` into columns, a block at a time so that it stays in L2."""
    matrix = pieces.matrix()
    columns = np.empty(matrix.shape[::-1], np.int32)
    for start in range(0, len(order), _BLOCK_ROWS):
        rows = order[start : start + _BLOCK_ROWS]
        columns[:, start : start + len(rows)] = matrix[rows].T
    return columns


def _list_columns(
    pieces: _Pieces, order: NDArray[np.int64], layout: Layout
) -> dict[str, Any]:
    lengths = pieces.gather("lengths", np.int64)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ends = np.cumsum(lengths[order])
    offsets: Any = np.concatenate([np.zeros(1, np.int64), ends]).astype(np.int32)
    flat: dict[str, Any] = {
        "ids": _moved(pieces.entries("ids", np.int32), indptr, order)
    }
    if layout.unit_values:
        flat["values"] = np.ones(len(flat["ids"]), np.float32)
    else:
        values = pieces.entries("values", np.float32)
        flat["values"] = _moved(values, indptr, order)
    return {name: pa.ListArray.from_arrays(offsets, flat[name]) for name in flat}


def _moved(
    entries: NDArray[Any], indptr: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[Any]:
    """Put the entries of rows in `order`, a block at a time to spare memory."""
    moved = np.empty_like(entries)
    done = 0
    for start in range(0, len(order), _BLOCK_ROWS):
        block = entries[entries_of(indptr, order[start : start + _BLOCK_ROWS])]
        moved[done : done + len(block)] = block
        done += len(block)
    return moved


def _write_table(path: Path, table: pa.Table, layout: Layout) -> None:
    pq.write_table(
        table,
        path,
        row_group_size=layout.group_rows,
        compression="lz4",
        use_dictionary=True,
        write_statistics=False,
        store_schema=False,
    )


def _displacement(
    numbers: NDArray[np.int64],
    part: Partition,
    options: PrepareOptions,
    layout: Layout,
) -> float:
    """Sum up how far rows are from their raw place, in parts of the split."""
    if row_order(part.split, options) != "mixed" or not len(numbers):
        return 0.0
    n_parts = layout.partitions[SPLIT_NAMES.index(part.split)]
    now = (part.number + (np.arange(len(numbers)) + 0.5) / len(numbers)) / n_parts
    raw = (numbers + 0.5) / (part.last_row + 1)
    return float(np.abs(now - raw).sum())
