"""The end of a run: sums checked, frequencies and manifest written, the latter last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rafm_datasets.files import write_json
from rafm_datasets.frequencies import (
    range_sums,
    reserved_table,
    write_frequencies,
    zero_one_sum,
)
from rafm_datasets.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    SPLIT_NAMES,
    DataFile,
    Field,
    Manifest,
    RawFile,
    Split,
    manifest_to_json,
)
from rafm_datasets.refusal import join_refused
from rafm_datasets.splits import row_order
from rafm_datasets.work import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.job import Job
    from rafm_datasets.numbering import Numbering
    from rafm_datasets.partition import Partition
    from rafm_datasets.schema import Schema


def commit(
    job: Job,
    chunks: Sequence[ChunkStats],
    schema: Schema,
    numbering: Numbering,
    parts: Sequence[Partition],
    raw_files: Sequence[RawFile],
) -> Manifest:
    """Check the sums, write frequencies, quarantine and manifest.

    Parameters
    ----------
    job : Job
    chunks, schema, numbering, parts, raw_files    what the passes returned

    Returns
    -------
    Manifest
    """
    out = Path(job.options.out)
    nulls, rare = _reserved_sums(job, chunks, schema, numbering)
    reserved = [
        reserved_table(name, kind, ids[number], sums[number].tolist())
        for number, name in enumerate(schema.fields)
        for kind, ids, sums in (
            ("null", numbering.null_ids, nulls),
            ("rare", numbering.rare_ids, rare),
        )
    ]
    ranges = [ids.part for ids in numbering.ranges]
    frequencies = write_frequencies(
        out, ranges, pa.concat_tables(reserved), numbering.n_features, job.folder
    )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        source=job.options.source,
        task=schema.task,
        layout="lists" if schema.layout.lists else "columns",
        unit_values=schema.layout.unit_values,
        row_group_rows=schema.layout.group_rows,
        n_features=numbering.n_features,
        fields=_fields(chunks, schema, numbering),
        splits=_splits(job, chunks, schema, parts),
        frequencies=frequencies,
        quarantined_rows=_write_quarantine(job, chunks, out),
        seed=job.options.seed,
        parameters=job.options.parameters,
        raw_files=tuple(raw_files),
    )
    write_json(out / MANIFEST_NAME, manifest_to_json(manifest))
    return manifest


def _reserved_sums(
    job: Job, chunks: Sequence[ChunkStats], schema: Schema, numbering: Numbering
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum up the counts of null and rare; check that with them no entry is lost."""
    shape = (len(schema.fields), 4)
    nulls, rare, kept = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    entries = np.zeros((len(schema.fields), 3))
    for number, name in enumerate(schema.fields):
        for column in (c.columns[name] for c in chunks if name in c.columns):
            nulls[number] += (*column.nulls, column.null_label_sum)
            entries[number] += column.entries
    if schema.layout.plus_minus:
        nulls[:, 3] = zero_one_sum(pa.array(nulls[:, 3]), pa.array(nulls[:, 0]))
    for ids in numbering.ranges:
        sums = range_sums(ids.part, job.folder)
        kept[ids.part.field] += sums.kept
        rare[ids.part.field] += sums.rare
    counted = (nulls + rare + kept)[:, :3]
    for number, name in enumerate(schema.fields):
        if (counted[number] != entries[number]).any():
            raise RuntimeError(
                f"the counts of field {name} add up to {counted[number]} in "
                f"{SPLIT_NAMES}, but it has {entries[number]} entries; this is a "
                "defect of the program, please report it"
            )
    return nulls, rare


def _fields(
    chunks: Sequence[ChunkStats], schema: Schema, numbering: Numbering
) -> tuple[Field, ...]:
    return tuple(
        Field(
            name,
            numbering.n_values[number] + 2,
            any(c.columns[name].multi for c in chunks if name in c.columns),
            numbering.null_ids[number],
            numbering.rare_ids[number],
        )
        for number, name in enumerate(schema.fields)
    )


def _splits(
    job: Job,
    chunks: Sequence[ChunkStats],
    schema: Schema,
    parts: Sequence[Partition],
) -> dict[str, Split]:
    splits = {}
    for index, name in enumerate(SPLIT_NAMES):
        records = [
            json.loads(part.marker(job.folder).read_text(encoding="utf-8"))
            for part in parts
            if part.split == name
        ]
        n_rows = schema.rows[index]
        label_sum = sum(chunk.label_sums[index] for chunk in chunks)
        if schema.layout.plus_minus:
            label_sum = (label_sum + n_rows) / 2
        binary = schema.task == "classification"
        splits[name] = Split(
            rows=n_rows,
            entries=sum(
                column.entries[index]
                for chunk in chunks
                for column in chunk.columns.values()
            ),
            positives=int(label_sum) if binary else None,
            label_mean=None if binary or not n_rows else label_sum / n_rows,
            order=row_order(name, job.options),
            displacement=round(
                sum(record["displacement_sum"] for record in records) / max(n_rows, 1),
                6,
            ),
            files=tuple(
                DataFile(record["name"], record["rows"], record["sha256"])
                for record in records
            ),
        )
    return splits


def _write_quarantine(job: Job, chunks: Sequence[ChunkStats], out: Path) -> int:
    """Gather the refused rows of all chunks into one file; return how many."""
    numbers = [chunk.number for chunk in chunks if chunk.refused]
    if numbers:
        join_refused(job.folder, numbers, out / QUARANTINE / "part-00000.parquet")
    return sum(chunk.refused for chunk in chunks)
