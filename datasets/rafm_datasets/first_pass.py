"""The first pass: raw texts cut into chunks, each parsed and counted."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from rafm_datasets.ahead import run_ahead
from rafm_datasets.chunk_stats import ChunkStats, load_stats
from rafm_datasets.execute import run_tasks
from rafm_datasets.files import write_json
from rafm_datasets.job import Job, Task, run_stage, staged
from rafm_datasets.manifest import RawFile
from rafm_datasets.positives import merge_positives
from rafm_datasets.scan import ChunkRef, Scanner
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.stage import count_held, hold_chunk, stage_chunk
from rafm_datasets.timed import load_held, split_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.raw import RawInput

_AHEAD = 2  # chunks cut, or unpacked, ahead of each task that can run


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
            staged(job, item.number),
            partial(count_held, item, bounds, job.options, job.folder),
            item.path(job.folder),
        )
        for item in held
    ]
    run_stage(job, "split", "chunks", tasks)
    return [load_stats(staged(job, item.number)) for item in held], raw_files


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
        return staged(job, number, reading.marker)

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
            marker = staged(job, ref.number, reading.marker)
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
