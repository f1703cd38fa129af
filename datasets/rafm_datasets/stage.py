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
from rafm_datasets.columns import Parsed
from rafm_datasets.files import replacing, write_json
from rafm_datasets.negatives import NO_CHOICE, with_negatives
from rafm_datasets.positives import hold_positives, load_positives, positives_of
from rafm_datasets.refusal import (
    Refused,
    parse_or_refuse,
    refuse_more,
    refused_path,
    write_refused,
)
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.splits import arrange
from rafm_datasets.timed import Held, hold, in_time_order, load_parsed

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
    parsed, n_refused = _parse(ref, options, folder)
    order, ends = arrange(parsed.numbers, ref.split, options)
    return _save(ref.number, parsed, order, ends, n_refused, folder)


def hold_chunk(ref: ChunkRef, options: PrepareOptions, folder: Path) -> Held:
    """Parse one chunk and hold it, for `count_held`; otherwise as above."""
    parsed, n_refused = _parse(ref, options, folder)
    if options.split == "time":
        order = in_time_order(parsed)
        columns = {name: _reordered(c, order) for name, c in parsed.columns.items()}
        times = None if parsed.times is None else parsed.times[order]
        parsed = Parsed(parsed.labels[order], columns, parsed.numbers[order], times)
    choice = source_info(options).choice
    if choice is not None and len(parsed.labels):
        positives = positives_of(parsed.columns, choice)
        hold_positives(positives, ref.number, folder)
    return hold(ref, parsed, n_refused, folder)


def count_held(
    held: Held,
    bounds: tuple[int, int] | None,
    options: PrepareOptions,
    folder: Path,
) -> None:
    """Draw negatives for, split and count a held chunk; its `.json` is written last.

    Parameters
    ----------
    held : Held
    bounds : (int, int) or None        times at which validation and test begin, for a
                                       split by time
    options : PrepareOptions
    folder : Path                      of the work files

    Raises
    ------
    DataError                          a positive that no negative exists for, unless
                                       such rows are to be quarantined
    """
    parsed, n_refused = load_parsed(held, folder), held.refused
    if source_info(options).choice is not None and len(parsed.labels):
        parsed, n_refused = _with_negatives(parsed, held, options, folder)
    if bounds is None:
        order, ends = arrange(parsed.numbers, held.split, options)
        _save(held.number, parsed, order, ends, n_refused, folder)
    else:
        times = np.empty(0, np.int64) if parsed.times is None else parsed.times
        ends = [*np.searchsorted(times, bounds).tolist(), len(times)]
        with replacing(folder / f"{held.number:06d}.times") as temporary:
            temporary.write_bytes(times.data)
        _save(held.number, parsed, None, ends, n_refused, folder)


def _with_negatives(
    parsed: Parsed, held: Held, options: PrepareOptions, folder: Path
) -> tuple[Parsed, int]:
    """Draw the negatives of a chunk; refuse its rows that have none."""
    choice = source_info(options).choice or ""
    drawn = with_negatives(parsed, choice, load_positives(folder), options.seed)
    if not len(drawn.full):
        return drawn.parsed, held.refused
    refused = [
        Refused(
            held.label,
            int(parsed.numbers[row]) + held.first_line,
            NO_CHOICE,
            _shown_row(parsed, row),
        )
        for row in drawn.full.tolist()
    ]
    return drawn.parsed, refuse_more(folder, held.number, refused, options)


def _shown_row(parsed: Parsed, row: int) -> str:
    """Put the values of a row side by side, for its raw text is gone."""
    codes = [(column, int(column.codes[row])) for column in parsed.columns.values()]
    return "\t".join(column.values[code - 1] if code else "" for column, code in codes)


def _parse(ref: ChunkRef, options: PrepareOptions, folder: Path) -> tuple[Parsed, int]:
    parsed, refused = parse_or_refuse(ref, load_source(options.source), options)
    if refused:
        write_refused(refused_path(folder, ref.number), refused)
    return parsed, len(refused)


def _save(
    number: int,
    parsed: Parsed,
    order: NDArray[np.int64] | None,
    ends: list[int],
    n_refused: int,
    folder: Path,
) -> ChunkStats:
    """Count and write a chunk whose rows, in `order`, are split at `ends`."""
    labels, numbers = parsed.labels, parsed.numbers
    if order is not None:
        labels, numbers = labels[order], numbers[order]
    arrays: list[NDArray[Any]] = [labels, numbers]
    tables, columns = [], {}
    for name, column in parsed.columns.items():
        codes = narrow(column.codes, len(column.values) + 1)
        column = column._replace(codes=codes)
        column = column if order is None else _reordered(column, order)
        columns[name], table = _count(column, labels, ends)
        tables.append(table)
        arrays += _stored(column)
    save_arrays(folder / f"{number:06d}.rows", arrays)
    _write_values(folder / f"{number:06d}.lists", tables)
    stats = ChunkStats(
        number,
        tuple(np.diff([0, *ends]).tolist()),
        tuple(_split_sums(labels, ends)),
        bool(np.isin(labels, (0, 1)).all()),
        bool(np.isin(labels, (-1, 1)).all()),
        _last_numbers(numbers, ends),
        n_refused,
        columns,
    )
    write_json(folder / f"{number:06d}.json", asdict(stats))
    return stats


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
    if column.indptr is None:
        return [column.codes]
    weights = column.weights
    unit = np.empty(0, np.float32) if weights is None else weights
    return [column.codes, column.indptr, unit]


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
