"""First pass over a chunk: parse, check, assign splits, count, write work files.

What is left on disk is integers (codes into the chunk's own distinct values, rows
already sorted by split and place) and, for each field, the chunk's distinct values
with their counts, sorted by their bytes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rafm_datasets.arrays import entries_of, narrow, save_arrays
from rafm_datasets.chunk_stats import ChunkStats, ColumnStats
from rafm_datasets.files import replacing, write_json
from rafm_datasets.refusal import parse_or_refuse, write_refused
from rafm_datasets.sources import load_source
from rafm_datasets.splits import arrange

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.columns import Column
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.scan import ChunkRef


def stage_chunk(ref: ChunkRef, options: PrepareOptions, folder: Path) -> ChunkStats:
    """Parse and count one chunk; its `.json` is written last and marks it done.

    Parameters
    ----------
    ref : ChunkRef
    options : PrepareOptions
    folder : Path                      of the work files

    Returns
    -------
    ChunkStats

    Raises
    ------
    DataError                          a bad row, unless they are to be quarantined
    """
    parsed, refused = parse_or_refuse(ref, load_source(options.source), options)
    order, ends = arrange(parsed.numbers, ref.split, options)
    labels = parsed.labels[order]
    arrays: list[NDArray[Any]] = [labels, parsed.numbers[order]]
    tables, columns = [], {}
    for name, column in parsed.columns.items():
        column = _reordered(column, order)
        stats, table = _count(column, labels, ends)
        columns[name] = stats
        tables.append(table)
        arrays += _stored(column)
    save_arrays(folder / f"{ref.number:06d}.rows", arrays)
    _write_values(folder / f"{ref.number:06d}.lists", tables)
    if refused:
        write_refused(folder / f"{ref.number:06d}.refused", refused)
    stats_of_chunk = ChunkStats(
        ref.number,
        tuple(np.diff([0, *ends]).tolist()),
        tuple(_split_sums(labels, ends)),
        bool(np.isin(labels, (0, 1)).all()),
        bool(np.isin(labels, (-1, 1)).all()),
        _last_numbers(arrays[1], ends),
        len(refused),
        columns,
    )
    write_json(folder / f"{ref.number:06d}.json", asdict(stats_of_chunk))
    return stats_of_chunk


def _reordered(column: Column, order: NDArray[np.int64]) -> Column:
    if column.indptr is None:
        return column._replace(codes=column.codes[order])
    entries = entries_of(column.indptr, order)
    lengths = np.diff(column.indptr)[order]
    return column._replace(
        codes=column.codes[entries],
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        weights=None if column.weights is None else column.weights[entries],
    )


def _stored(column: Column) -> list[NDArray[Any]]:
    codes = narrow(column.codes, len(column.values) + 1)
    if column.indptr is None:
        return [codes]
    weights = column.weights
    unit = np.empty(0, np.float32) if weights is None else weights
    return [codes, column.indptr, unit]


def _count(
    column: Column, labels: NDArray[np.float32], ends: list[int]
) -> tuple[ColumnStats, pa.RecordBatch]:
    """Count each distinct value by split; values come sorted by their bytes."""
    n_codes = len(column.values) + 1
    stops = ends if column.indptr is None else [int(column.indptr[end]) for end in ends]
    starts = [0, *stops[:-1]]
    counts = [
        np.bincount(column.codes[start:stop], minlength=n_codes)
        for start, stop in zip(starts, stops, strict=True)
    ]
    weights = labels[: ends[0]]
    if column.indptr is not None:
        weights = np.repeat(weights, np.diff(column.indptr[: ends[0] + 1]))
    sums = np.bincount(column.codes[: stops[0]], weights, n_codes)
    order = column.values.arg_sort().to_numpy().astype(np.int64)
    codes = order + 1
    batch = pa.record_batch(
        {
            "value": column.values.gather(order).to_arrow().cast(pa.large_string()),
            "code": codes.astype(np.int32),
            "train_count": counts[0][codes],
            "valid_count": counts[1][codes],
            "test_count": counts[2][codes],
            "train_label_sum": sums[codes].astype(np.float64),
        }
    )
    stats = ColumnStats(
        len(codes),
        tuple(int(count[0]) for count in counts),
        float(sums[0]),
        tuple(np.diff([0, *stops]).tolist()),
        column.weights is None,
        column.indptr is not None,
    )
    return stats, batch


def _last_numbers(numbers: NDArray[np.int64], ends: list[int]) -> tuple[int, ...]:
    starts = [0, *ends[:-1]]
    return tuple(
        int(numbers[start:stop].max(initial=-1))
        for start, stop in zip(starts, ends, strict=True)
    )


def _split_sums(labels: NDArray[np.float32], ends: list[int]) -> list[float]:
    starts = [0, *ends[:-1]]
    return [
        float(labels[start:stop].sum(dtype=np.float64))
        for start, stop in zip(starts, ends, strict=True)
    ]


def _write_values(path: Path, batches: list[pa.RecordBatch]) -> None:
    """Write one record batch for each field, to be read one by one."""
    if not batches:
        return
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, batches[0].schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
