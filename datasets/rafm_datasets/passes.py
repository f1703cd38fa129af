"""The passes over the data, each a set of tasks; what is done is left alone.

A task writes files only, the one that marks it done last, and removes none: it may run
twice, or twice at once, when a worker is lost. What is not needed any more is removed
here, once the result of the task is here.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from rafm_datasets.ahead import run_ahead
from rafm_datasets.chunk_stats import ChunkStats, load_stats
from rafm_datasets.cuts import find_cuts
from rafm_datasets.encode import FieldIds, encode_chunk
from rafm_datasets.execute import run_tasks
from rafm_datasets.files import write_json
from rafm_datasets.frequencies import assign_ids
from rafm_datasets.manifest import SPLIT_NAMES, RawFile
from rafm_datasets.partition import BYTES_PER_ENTRY, Partition, write_partition
from rafm_datasets.positives import merge_positives
from rafm_datasets.scan import ChunkRef, Scanner
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.stage import count_held, hold_chunk, stage_chunk
from rafm_datasets.timed import load_held, split_bounds
from rafm_datasets.vocabulary import Range, ValueList, cut_into_ranges, merge_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rafm_datasets.budget import Budget
    from rafm_datasets.execute import Progress
    from rafm_datasets.numbering import Numbering
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.pools import Pool
    from rafm_datasets.raw import RawInput
    from rafm_datasets.schema import Schema

_AHEAD = 2  # chunks cut, or unpacked, ahead of each task that can run


@dataclass(frozen=True, slots=True)
class Job:
    """What all passes of one run need."""

    options: PrepareOptions
    inputs: tuple[RawInput, ...]
    folder: Path
    budget: Budget
    pool: Pool
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
    has_positives_only = (
        source_info(job.options).choice is not None
        and job.options.purpose == "prepare"  # else nothing is drawn
    )
    if not by_time and not has_positives_only:
        return _read_all(job, _Reading("json", load_stats, stage_chunk))
    reading = _Reading("held.json", load_held, hold_chunk)
    held, raw_files = _read_all(job, reading)
    if has_positives_only:
        numbers = [item.number for item in held if item.rows != (0,)]
        merge_positives(numbers, job.folder, job.budget.task_bytes)
    bounds = split_bounds(held, job.options) if by_time else None
    tasks = [
        Task(
            _staged(job, item.number),
            partial(count_held, item, bounds, job.options, job.folder),
            item.path(job.folder),
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
        path = job.folder / f"{number:06d}.raw"
        if not marker(number).exists():
            return path
        path.unlink(missing_ok=True)
        return None

    scanner = Scanner(
        job.inputs,
        load_source(job.options.source),
        job.options,
        job.budget.chunk_bytes,
        spill,
    )
    chunks = _read_chunks(job, reading, scanner.chunks())
    raw_files = [asdict(item) for item in scanner.raw_files]
    write_json(record, {"n_chunks": len(chunks), "raw_files": raw_files})
    return chunks, scanner.raw_files


def _read_chunks(job: Job, reading: _Reading[T], refs: Iterator[ChunkRef]) -> list[T]:
    n_rows = n_bytes = 0
    known: list[ChunkRef] = []
    total_bytes = _bytes_to_parse(job.inputs)

    def tasks(refs: Iterator[ChunkRef]) -> Iterator[Callable[[], T]]:
        for ref in refs:
            known.append(ref)
            marker = _staged(job, ref.number, reading.marker)
            yield partial(_read_chunk, reading, marker, ref, job.options, job.folder)

    def report(number: int, stats: T) -> None:
        nonlocal n_rows, n_bytes
        if known[number].spilled:
            Path(known[number].path).unlink(missing_ok=True)
        n_rows += sum(stats.rows)
        n_bytes += known[number].length
        expected = total_bytes and n_rows * total_bytes // n_bytes
        job.progress("parse", n_rows, expected, "rows")

    with contextlib.closing(run_ahead(refs, _AHEAD * job.pool.size)) as ahead:
        return run_tasks(tasks(ahead), job.pool, report)


def _bytes_to_parse(inputs: Sequence[RawInput]) -> int | None:
    """Sum up the text to come; None where it is packed, so that nobody knows."""
    if any(item.packing != "plain" for item in inputs):
        return None
    return sum(item.size() for item in inputs)


def _read_chunk(
    reading: _Reading[T],
    marker: Path,
    ref: ChunkRef,
    options: PrepareOptions,
    folder: Path,
) -> T:
    if marker.exists():
        return reading.load(marker)
    return reading.stage(ref, options, folder)


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
        Task(part.path(job.folder, "histogram"), partial(merge_range, part, job.folder))
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
        Task(
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
    fields = tuple(
        FieldIds(
            name,
            numbering.null_ids[number],
            tuple(
                replace(ids.part, lists=())  # all chunks' lists would go with each task
                for ids in numbering.ranges
                if ids.part.field == number
            ),
        )
        for number, name in enumerate(schema.fields)
    )
    cuts = find_cuts(chunks, schema.layout, job.options, job.folder)
    tasks = [
        Task(
            _staged(job, chunk.number, "cuts"),
            partial(
                encode_chunk,
                chunk,
                places,
                cuts_of_chunk,
                fields,
                schema.layout,
                job.options,
                job.folder,
            ),
            _staged(job, chunk.number, "rows"),
        )
        for chunk, places, cuts_of_chunk in zip(
            chunks, _places(chunks, schema.fields), cuts, strict=True
        )
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
        Task(
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
    n_entries = sum(sum(c.entries) for chunk in chunks for c in chunk.columns.values())
    needed = BYTES_PER_ENTRY * n_entries // max(len(parts), 1)
    at_once = max(1, job.budget.tasks_bytes // max(needed, 1))
    _run(job, "write", "partitions", tasks, at_once)
    return parts


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: `marker` tells that it is done, `spent` is then removed."""

    marker: Path
    work: Callable[[], None]
    spent: Path | None = None

    def __call__(self) -> None:
        """Work, unless a worker that was lost since had done it."""
        if not self.marker.exists():
            self.work()


def _run(
    job: Job,
    stage: str,
    unit: str,
    tasks: Sequence[Task],
    at_once: int | None = None,
) -> None:
    """Run the tasks whose marker is not there yet."""
    todo = [task for task in tasks if not task.marker.exists()]
    done = len(tasks) - len(todo)
    job.progress(stage, done, len(tasks), unit)

    def report(number: int, _: None) -> None:
        nonlocal done
        done += 1
        spent = todo[number].spent
        if spent is not None:
            spent.unlink(missing_ok=True)
        job.progress(stage, done, len(tasks), unit)

    run_tasks(todo, job.pool, report, at_once)


def _staged(job: Job, number: int, kind: str = "json") -> Path:
    return job.folder / f"{number:06d}.{kind}"


def _places(
    chunks: Sequence[ChunkStats], fields: Sequence[str]
) -> Iterator[tuple[int, ...]]:
    """Tell for each chunk which of each field's lists is its own."""
    n_lists = [0] * len(fields)
    for chunk in chunks:
        yield tuple(n_lists)
        for number, field in enumerate(fields):
            n_lists[number] += field in chunk.columns
