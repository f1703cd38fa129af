"""The passes after the first, each a set of tasks; what is done is left alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rafm_datasets.cuts import find_cuts
from rafm_datasets.encode import FieldIds, encode_chunk
from rafm_datasets.frequencies import assign_ids
from rafm_datasets.job import Job, Task, run_stage, staged
from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.partition import (
    BYTES_PER_ENTRY,
    BYTES_PER_ROW,
    Partition,
    write_partition,
)
from rafm_datasets.vocabulary import Range, ValueList, cut_into_ranges, merge_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.numbering import Numbering
    from rafm_datasets.schema import Schema


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
    run_stage(job, "merge", "ranges", tasks)
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
    run_stage(job, "number", "ranges", tasks)


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
            staged(job, chunk.number, "cuts"),
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
            staged(job, chunk.number, "rows"),
        )
        for chunk, places, cuts_of_chunk in zip(
            chunks, _places(chunks, schema.fields), cuts, strict=True
        )
    ]
    run_stage(job, "encode", "chunks", tasks)


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
    at_once = max(1, job.budget.tasks_bytes // _bytes_to_write(chunks, schema))
    run_stage(job, "write", "partitions", tasks, at_once)
    return parts


def _bytes_to_write(chunks: Sequence[ChunkStats], schema: Schema) -> int:
    """Tell what a partition takes to write, in the split that has the largest."""
    most = 1
    for index, n_partitions in enumerate(schema.layout.partitions):
        columns = (c for chunk in chunks for c in chunk.columns.values())
        n_bytes = BYTES_PER_ENTRY * sum(column.entries[index] for column in columns)
        n_bytes += BYTES_PER_ROW * schema.rows[index]
        most = max(most, n_bytes // max(n_partitions, 1))
    return most


def _places(
    chunks: Sequence[ChunkStats], fields: Sequence[str]
) -> Iterator[tuple[int, ...]]:
    """Tell for each chunk which of each field's lists is its own."""
    n_lists = [0] * len(fields)
    for chunk in chunks:
        yield tuple(n_lists)
        for number, field in enumerate(fields):
            n_lists[number] += field in chunk.columns
