"""Fourth pass over a chunk: codes become ids, rows are cut by target partition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_datasets.arrays import load_arrays, save_arrays
from rafm_datasets.files import replacing
from rafm_datasets.frequencies import entry_ids
from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.splits import place_keys
from rafm_datasets.vocabulary import ValueList

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.vocabulary import Range

_BLOCK_ROWS = 4096  # rows written at once, so that a block of ids stays in L2


@dataclass(frozen=True, slots=True)
class FieldIds:
    """What encoding needs of a field: its null id and the ranges of its values."""

    name: str
    null_id: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are laid out on disk, and how many partitions each split has.

    `plus_minus` says that labels are -1 and 1 and become 0 and 1.
    """

    lists: bool
    unit_values: bool
    plus_minus: bool
    partition_rows: int
    group_rows: int
    partitions: tuple[int, ...]


def encode_chunk(
    stats: ChunkStats,
    places: Sequence[int],
    cuts: Sequence[NDArray[np.int64] | None],
    fields: Sequence[FieldIds],
    layout: Layout,
    options: PrepareOptions,
    folder: Path,
) -> None:
    """Encode one staged chunk; its `.cuts` is written last and marks it done.

    Parameters
    ----------
    stats : ChunkStats
    places : sequence of int           for each field, which of the lists that were
                                       merged is this chunk's
    cuts : sequence of arrays or None  for each split, as `find_cuts` found them
    fields : sequence of FieldIds
    layout : Layout
    options : PrepareOptions
    folder : Path                      of the work files
    """
    stem = folder / f"{stats.number:06d}"
    labels, numbers, *stored = load_arrays(stem.with_suffix(".rows"))
    maps = {
        field.name: _id_of_code(field, place, stats, folder)
        for field, place in zip(fields, places, strict=True)
        if field.name in stats.columns
    }
    columns = _columns(stats, stored)
    ends = np.cumsum([0, *stats.rows])
    cuts = [
        _cuts_of_mixed(numbers[start:stop], index, layout, options)
        if found is None
        else found
        for index, (found, (start, stop)) in enumerate(
            zip(cuts, pairwise(ends.tolist()), strict=True)
        )
    ]
    if layout.plus_minus:
        labels = (labels + 1) / 2
    arrays = {"labels": labels, "numbers": numbers}
    if layout.lists:
        arrays |= _encode_lists(columns, maps, fields, layout, len(labels))
    else:
        arrays["ids"] = _encode_columns(columns, maps, fields, len(labels))
    for kind, array in arrays.items():
        with replacing(stem.with_suffix(f".{kind}")) as temporary:
            temporary.write_bytes(array.data)
    starts = [cut + start for cut, start in zip(cuts, ends[:-1], strict=True)]
    save_arrays(stem.with_suffix(".cuts"), starts)


def _id_of_code(
    field: FieldIds, place: int, stats: ChunkStats, folder: Path
) -> NDArray[np.int32]:
    n_values = stats.columns[field.name].n_values
    batch = list(stats.columns).index(field.name)
    path = folder / f"{stats.number:06d}.lists"
    codes = ValueList(str(path), batch, n_values).read().column("code").to_numpy()
    id_of = np.empty(n_values + 1, np.int32)
    id_of[0] = field.null_id
    id_of[codes] = entry_ids(field.ranges, place, folder)
    return id_of


def _columns(
    stats: ChunkStats, stored: list[NDArray[Any]]
) -> dict[str, list[NDArray[Any]]]:
    """Group the stored arrays by field: codes, or codes, indptr and weights."""
    arrays = iter(stored)
    return {
        name: [next(arrays) for _ in range(3 if column.multi else 1)]
        for name, column in stats.columns.items()
    }


def _cuts_of_mixed(
    numbers: NDArray[np.int64],
    index: int,
    layout: Layout,
    options: PrepareOptions,
) -> NDArray[np.int64]:
    """Find where each partition of a split begins and ends in its sorted rows."""
    n_parts = layout.partitions[index]
    keys = place_keys(numbers, SPLIT_NAMES[index], options)
    edges = [(part << 64) // max(n_parts, 1) for part in range(1, n_parts)]
    inner = np.searchsorted(keys, np.array(edges, np.uint64))
    outer = np.array([len(numbers)] if n_parts else [], np.int64)
    return np.concatenate([np.zeros(1, np.int64), inner, outer])


def _encode_columns(
    columns: dict[str, list[NDArray[Any]]],
    maps: dict[str, NDArray[np.int32]],
    fields: Sequence[FieldIds],
    n_rows: int,
) -> NDArray[np.int32]:
    ids = np.empty((n_rows, len(fields)), np.int32)
    for start in range(0, n_rows, _BLOCK_ROWS):
        block = ids[start : start + _BLOCK_ROWS]
        for j, field in enumerate(fields):
            codes = columns[field.name][0][start : start + _BLOCK_ROWS]
            block[:, j] = maps[field.name][codes]
    return ids


def _encode_lists(
    columns: dict[str, list[NDArray[Any]]],
    maps: dict[str, NDArray[np.int32]],
    fields: Sequence[FieldIds],
    layout: Layout,
    n_rows: int,
) -> dict[str, NDArray[Any]]:
    """Put each row's entries of all fields side by side, in field order."""
    present = [field.name for field in fields if field.name in columns]
    indptrs = [
        columns[name][1] if len(columns[name]) > 1 else np.arange(n_rows + 1)
        for name in present
    ]
    lengths = [np.diff(indptr) for indptr in indptrs]
    total = np.sum(lengths, axis=0) if lengths else np.zeros(n_rows, np.int64)
    ends = np.cumsum(total)
    ids = np.empty(int(ends[-1]) if n_rows else 0, np.int32)
    values = np.ones(0 if layout.unit_values else len(ids), np.float32)
    firsts = ends - total
    for name, indptr, length in zip(present, indptrs, lengths, strict=True):
        codes, *rest = columns[name]
        to = np.arange(len(codes)) + np.repeat(firsts - indptr[:-1], length)
        ids[to] = maps[name][codes]
        if len(values) and rest and len(rest[1]):
            values[to] = rest[1]
        firsts = firsts + length
    arrays: dict[str, NDArray[Any]] = {"ids": ids, "lengths": total.astype(np.int64)}
    return arrays if layout.unit_values else {**arrays, "values": values}
