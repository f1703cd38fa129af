"""The passes over the data, each a Dask graph of tasks; what is done is left alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from rafm_datasets.ahead import run_ahead
from rafm_datasets.chunk_stats import ChunkStats, load_stats
from rafm_datasets.cuts import find_cuts
from rafm_datasets.encode import FieldIds, encode_chunk
from rafm_datasets.execute import run_tasks
from rafm_datasets.files import write_json
from rafm_datasets.frequencies import assign_ids
from rafm_datasets.manifest import SPLIT_NAMES, RawFile
from rafm_datasets.partition import Partition, write_partition
from rafm_datasets.positives import merge_positives
from rafm_datasets.scan import ChunkRef, Scanner
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.stage import count_held, hold_chunk, stage_chunk
from rafm_datasets.timed import load_held, split_bounds
from rafm_datasets.vocabulary import Range, ValueList, cut_into_ranges, merge_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rafm_datasets.budget import Budget
    from rafm_datasets.execute import Progress
    from rafm_datasets.numbering import Numbering
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.raw import RawInput
    from rafm_datasets.schema import Schema

_WAVE = 4  # chunks for each worker in one graph


@dataclass(frozen=True, slots=True)
class Job:
    """What all passes of one run need."""

    options: PrepareOptions
    inputs: tuple[RawInput, ...]
    folder: Path
    budget: Budget
    progress: Progress


def stage_all(job: Job) -> tuple[list[ChunkStats], list[RawFile]]:
    """Parse and count every chunk of the raw files.

    Parameters
    ----------
    job : Job

    Returns
    -------
    list of ChunkStats, list of RawFile

    Raises
    ------
    DataError                          of the first bad row or damaged file
    """
    by_time = job.options.split == "time"
    has_positives_only = source_info(job.options).choice is not None
    if not by_time and not has_positives_only:
        return _read_all(job, _Reading("json", load_stats, stage_chunk))
    reading = _Reading("held.json", load_held, hold_chunk)
    held, raw_files = _read_all(job, reading)
    if has_positives_only:
        numbers = [item.number for item in held if item.rows != (0,)]
        merge_positives(numbers, job.folder, job.budget.task_bytes)
    bounds = split_bounds(held, job.options) if by_time else None
    tasks = [
        (
            _staged(job, item.number),
            partial(count_held, item, bounds, job.options, job.folder),
        )
        for item in held
    ]
    _run(job, "split", "chunks", tasks)
    return [load_stats(_staged(job, item.number)) for item in held], raw_files


class _Staged(Protocol):
    @property
    def rows(self) -> tuple[int, ...]: ...


T = TypeVar("T", bound=_Staged)


class _Reading(NamedTuple, Generic[T]):
    """What is done with a chunk of text, and what file tells that it was done."""

    marker: str
    load: Callable[[Path], T]
    stage: Callable[[ChunkRef, PrepareOptions, Path], T]


def _read_all(job: Job, reading: _Reading[T]) -> tuple[list[T], list[RawFile]]:
    record = job.folder / "raw.json"

    def marker(number: int) -> Path:
        return _staged(job, number, reading.marker)

    if record.exists():
        known = json.loads(record.read_text(encoding="utf-8"))
        loaded = [reading.load(marker(n)) for n in range(known["n_chunks"])]
        return loaded, [RawFile(**item) for item in known["raw_files"]]

    def spill(number: int) -> Path | None:
        done = marker(number).exists()
        return None if done else job.folder / f"{number:06d}.raw"

    scanner = Scanner(
        job.inputs,
        load_source(job.options.source),
        job.options,
        job.budget.chunk_bytes,
        spill,
    )
    chunks: list[T] = []
    size = _WAVE * job.budget.workers
    for wave in _waves(run_ahead(scanner.chunks(), size), job.budget.workers, size):
        n_before = sum(sum(chunk.rows) for chunk in chunks)
        chunks += _read_wave(job, reading, wave, n_before)
    raw_files = [asdict(item) for item in scanner.raw_files]
    write_json(record, {"n_chunks": len(chunks), "raw_files": raw_files})
    return chunks, scanner.raw_files


def _read_wave(
    job: Job, reading: _Reading[T], wave: list[ChunkRef], n_before: int
) -> list[T]:
    n_rows = n_before

    def stage(ref: ChunkRef) -> T:
        marker = _staged(job, ref.number, reading.marker)
        if marker.exists():
            return reading.load(marker)
        return reading.stage(ref, job.options, job.folder)

    def report(stats: T) -> None:
        nonlocal n_rows
        n_rows += sum(stats.rows)
        job.progress("parse", n_rows, None, "rows")

    tasks = [partial(stage, ref) for ref in wave]
    return run_tasks(tasks, job.budget.workers, report)


def merge_all(
    job: Job, chunks: Sequence[ChunkStats], fields: Sequence[str]
) -> list[Range]:
    """Merge the distinct values of every field.

    Parameters
    ----------
    job : Job
    chunks : sequence of ChunkStats
    fields : sequence of str

    Returns
    -------
    list of Range                      by field and value
    """
    ranges: list[Range] = []
    for number, field in enumerate(fields):
        lists = [
            ValueList(
                str(job.folder / f"{chunk.number:06d}.lists"),
                list(chunk.columns).index(field),
                chunk.columns[field].n_values,
            )
            for chunk in chunks
            if field in chunk.columns
        ]
        if lists:
            ranges += cut_into_ranges(number, lists, job.budget.task_bytes)
    tasks = [
        (part.path(job.folder, "histogram"), partial(merge_range, part, job.folder))
        for part in ranges
    ]
    _run(job, "merge", "ranges", tasks)
    return ranges


def assign_all(job: Job, schema: Schema, numbering: Numbering) -> None:
    """Give every value its id.

    Parameters
    ----------
    job : Job
    schema : Schema
    numbering : Numbering
    """
    tasks = [
        (
            ids.part.path(job.folder, "sums"),
            partial(
                assign_ids,
                ids,
                schema.fields[ids.part.field],
                job.folder,
                count_all=job.options.count_splits == "all",
                plus_minus=schema.layout.plus_minus,
            ),
        )
        for ids in numbering.ranges
    ]
    _run(job, "number", "ranges", tasks)


def encode_all(
    job: Job, chunks: Sequence[ChunkStats], schema: Schema, numbering: Numbering
) -> None:
    """Turn the codes of every chunk into ids.

    Parameters
    ----------
    job : Job
    chunks : sequence of ChunkStats
    schema : Schema
    numbering : Numbering
    """
    fields = [
        FieldIds(
            name,
            numbering.null_ids[number],
            tuple(ids.part for ids in numbering.ranges if ids.part.field == number),
            _places(chunks, name),
        )
        for number, name in enumerate(schema.fields)
    ]
    cuts = find_cuts(chunks, schema.layout, job.options, job.folder)
    tasks = [
        (
            job.folder / f"{chunk.number:06d}.cuts",
            partial(
                encode_chunk,
                chunk,
                cuts_of_chunk,
                fields,
                schema.layout,
                job.options,
                job.folder,
            ),
        )
        for chunk, cuts_of_chunk in zip(chunks, cuts, strict=True)
    ]
    _run(job, "encode", "chunks", tasks)


def write_all(
    job: Job, chunks: Sequence[ChunkStats], schema: Schema
) -> list[Partition]:
    """Write the partitions of every split.

    Parameters
    ----------
    job : Job
    chunks : sequence of ChunkStats
    schema : Schema

    Returns
    -------
    list of Partition                  by split and number
    """
    parts = []
    for index, split in enumerate(SPLIT_NAMES):
        within = [chunk for chunk in chunks if chunk.rows[index]]
        numbers = tuple(chunk.number for chunk in within)
        last_row = max((chunk.last_numbers[index] for chunk in within), default=0)
        parts += [
            Partition(split, number, numbers, last_row)
            for number in range(schema.layout.partitions[index])
        ]
    tasks = [
        (
            part.marker(job.folder),
            partial(
                write_partition,
                part,
                schema.fields,
                schema.layout,
                job.options,
                job.folder,
            ),
        )
        for part in parts
    ]
    _run(job, "write", "partitions", tasks)
    return parts


def _run(
    job: Job, stage: str, unit: str, tasks: Sequence[tuple[Path, Callable[[], None]]]
) -> None:
    """Run the tasks whose marker is not there yet."""
    todo = [task for marker, task in tasks if not marker.exists()]
    done = len(tasks) - len(todo)
    job.progress(stage, done, len(tasks), unit)

    def report(_: None) -> None:
        nonlocal done
        done += 1
        job.progress(stage, done, len(tasks), unit)

    run_tasks(todo, job.budget.workers, report)


def _staged(job: Job, number: int, kind: str = "json") -> Path:
    return job.folder / f"{number:06d}.{kind}"


def _places(chunks: Sequence[ChunkStats], field: str) -> dict[int, int]:
    """Tell which of a field's lists belongs to a chunk, by chunk number."""
    having = (chunk.number for chunk in chunks if field in chunk.columns)
    return {number: place for place, number in enumerate(having)}


def _waves(
    items: Iterator[ChunkRef], first: int, most: int
) -> Iterator[list[ChunkRef]]:
    """Take chunks in waves that double, so that the first one need not wait long."""
    size = first
    while wave := list(islice(items, size)):
        yield wave
        size = min(2 * size, most)
