"""What is settled once every chunk is counted: fields, task, layout of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.encode import Layout
from rafm_datasets.errors import DataError
from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.splits import row_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.manifest import Task
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import SourceInfo

GROUP_ROWS = 1 << 16  # of a row group, unless rows are very long
_PARTITION_ENTRIES = 1 << 24  # of a partition: 64 MiB of ids
_GROUPS_PER_PARTITION = (1, 16)


@dataclass(frozen=True, slots=True)
class Schema:
    """Fields, task and layout, as the whole of the data shows them."""

    fields: tuple[str, ...]
    task: Task
    layout: Layout
    rows: tuple[int, ...]


def settle(
    chunks: Sequence[ChunkStats], info: SourceInfo, options: PrepareOptions
) -> Schema:
    """Decide on fields, task and layout.

    Parameters
    ----------
    chunks : sequence of ChunkStats    all of them, in order
    info : SourceInfo
    options : PrepareOptions

    Returns
    -------
    Schema

    Raises
    ------
    DataError                          no row to train on, labels that do not fit
    """
    rows = [sum(chunk.rows[split] for chunk in chunks) for split in range(3)]
    n_refused = sum(chunk.refused for chunk in chunks)
    if n_refused and not any(rows):
        raise DataError(
            f"none of the {n_refused:,} rows of {', '.join(options.raw)} can be read; "
            "prepare without --on-bad-row quarantine to be told what is wrong with the "
            "first"
        )
    if not rows[0]:
        raise DataError(
            f"no row of {', '.join(options.raw)} is left to train on; give more rows, "
            + (
                "or hold fewer or shorter periods out"
                if options.split == "time"
                else "or a larger first fraction"
            )
        )
    fields = _fields(chunks, info)
    columns = [column for chunk in chunks for column in chunk.columns.values()]
    task, plus_minus = _task(chunks, info, options)
    group_rows, groups = _sizes(sum(sum(c.entries) for c in columns) / sum(rows))
    layout = Layout(
        lists=info.lists,
        unit_values=all(column.unit for column in columns),
        plus_minus=plus_minus,
        partition_rows=group_rows * groups,
        group_rows=group_rows,
        partitions=tuple(
            _n_partitions(n, group_rows * groups, row_order(split, options))
            for n, split in zip(rows, SPLIT_NAMES, strict=True)
        ),
    )
    return Schema(fields, task, layout, tuple(rows))


def _fields(chunks: Sequence[ChunkStats], info: SourceInfo) -> tuple[str, ...]:
    names = {name for chunk in chunks for name in chunk.columns}
    if info.fields:
        return tuple(name for name in info.fields if name in names)
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def _task(
    chunks: Sequence[ChunkStats], info: SourceInfo, options: PrepareOptions
) -> tuple[Task, bool]:
    """Give the task, and whether labels -1 and 1 are to become 0 and 1."""
    if info.task is not None:
        if options.task not in (None, info.task):
            raise DataError(
                f"source {options.source} is for {info.task}, not {options.task}; "
                "leave --task out"
            )
        return info.task, False
    if options.task == "regression":
        return "regression", False
    if all(chunk.zero_one for chunk in chunks):
        return "classification", False
    if all(chunk.plus_minus for chunk in chunks):
        return "classification", True
    if options.task == "classification":
        raise DataError(
            f"the labels of {', '.join(options.raw)} are neither all 0 or 1 nor all "
            "-1 or 1; mend them, or give --task regression"
        )
    return "regression", False


def _sizes(entries_per_row: float) -> tuple[int, int]:
    """Give the rows of a row group and the row groups of a partition."""
    fitting = _PARTITION_ENTRIES / max(entries_per_row, 1)
    group_rows = min(GROUP_ROWS, max(1024, 1 << int(np.log2(fitting))))
    fewest, most = _GROUPS_PER_PARTITION
    return group_rows, min(max(int(fitting // group_rows), fewest), most)


def _n_partitions(n_rows: int, partition_rows: int, order: str) -> int:
    """Count partitions; mixed ones vary in size, so they are planned 1/32 smaller."""
    if n_rows <= partition_rows or order != "mixed":
        return -(-n_rows // partition_rows)
    return -(-n_rows // (partition_rows - partition_rows // 32))
