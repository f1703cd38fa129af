"""New raw rows to a file of ids that prepared data knows: `encode_like`.

parse and count each chunk -> merge the values -> look their ids up -> encode each
chunk -> write the rows in their order. All but looking up is what `prepare` does.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rafm_datasets.budget import make_budget
from rafm_datasets.description import parse_description
from rafm_datasets.encode import Layout
from rafm_datasets.encoded import EncodedFile, write_encoded
from rafm_datasets.errors import DataError
from rafm_datasets.execute import Progress, silent
from rafm_datasets.first_pass import stage_all
from rafm_datasets.job import Job
from rafm_datasets.location import Address, locate
from rafm_datasets.lookup import look_up_ids
from rafm_datasets.numbering import Numbering, RangeIds
from rafm_datasets.options import PrepareOptions
from rafm_datasets.passes import encode_all, merge_all
from rafm_datasets.pipeline import read_by_workers
from rafm_datasets.pools import open_pool
from rafm_datasets.prepared import PreparedData, open_prepared
from rafm_datasets.raw import resolve
from rafm_datasets.refusal import join_refused
from rafm_datasets.rows import Rows
from rafm_datasets.schema import Schema
from rafm_datasets.sources import load_source
from rafm_datasets.sources.table import settle_table
from rafm_datasets.work import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.raw import RawInput
    from rafm_datasets.vocabulary import Range

_TEST_MEMBERS = ("test.txt", "test.csv", "test")
_OF_THE_SPLIT = ("split", "fractions", "period", "holdout", "on_bad_row", "task")
_ONLY = 2  # the split that all new rows are staged as: its order is that of the files


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """What to encode, like which prepared data, into which file."""

    source: str
    raw: tuple[str, ...]
    like: str
    out: str
    on_bad_row: Literal["stop", "quarantine"] = "stop"
    memory_limit: int | None = None
    threads: int | None = None
    workers: int | None = None
    scheduler: str | None = None


def encode_like(
    options: EncodeOptions, progress: Progress | None = None
) -> EncodedFile:
    """Encode raw rows, labeled or not, with the ids of prepared data.

    Parameters
    ----------
    options : EncodeOptions
    progress : Progress or None        called as progress(stage, done, total, unit)

    Returns
    -------
    EncodedFile

    Raises
    ------
    DataError                          a mistake in the options or in the raw rows
    """
    data = open_prepared(options.like)
    reading = _reading_like(data, options)
    members = load_source(reading.source).INFO.members
    if members:  # of a source without names of its own any single file will do
        members = (*_TEST_MEMBERS, *members)
    inputs = resolve(reading.raw, members, given=False)
    if reading.description is not None:
        reading, inputs = settle_table(reading, inputs)
    inputs = tuple(replace(item, split="test") for item in inputs)
    out = _checked_out(options.out, inputs)
    reading = replace(reading, out=str(out))
    with _work_folder(out) as folder, open_pool(reading) as pool:
        pool.check(folder, read_by_workers(inputs))
        budget = make_budget(reading, pool)
        job = Job(reading, inputs, folder.absolute(), budget, pool, progress or silent)
        return _run(job, data)


def _reading_like(data: PreparedData, options: EncodeOptions) -> PrepareOptions:
    """Read the new rows as those of the data were read."""
    manifest = data.manifest
    if options.source != manifest.source:
        raise DataError(
            f"{options.like} was prepared from source {manifest.source}, not "
            f"{options.source}; give rows of that source"
        )
    known = {field.name for field in fields(PrepareOptions)} - {*_OF_THE_SPLIT}
    shaping: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in manifest.parameters.items()
        if name in known and value is not None
    }
    if "description" in shaping:
        shaping["description"] = parse_description(shaping["description"])
    return PrepareOptions(
        source=options.source,
        raw=options.raw,
        out=options.out,
        split="given",
        seed=manifest.seed,
        purpose="encode",
        on_bad_row=options.on_bad_row,
        memory_limit=options.memory_limit,
        threads=options.threads,
        workers=options.workers,
        scheduler=options.scheduler,
        **shaping,
    )


def _checked_out(place: str, inputs: Sequence[RawInput]) -> Path:
    """Refuse to write to where no file can be, or over what is read."""
    out = locate(place)
    if isinstance(out, Address):
        raise DataError(
            f"{place} is an address, and encoded rows are written to a local file; "
            "choose one for --out, and copy it there"
        )
    if out.is_dir():
        raise DataError(f"{out} is a folder; choose a file for --out")
    here = [Path(item.path) for item in inputs if "://" not in item.path]
    for path in (out, quarantine_path(out)):
        if path.exists() and any(path.samefile(raw) for raw in here):
            raise DataError(
                f"{path} is among the raw files and would be replaced; choose another "
                "--out"
            )
    return out


@contextlib.contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Work beside the file to write; nothing is left of it, however this ends."""
    place = out.with_name(f".{out.name}.encode")
    with locked(place) as folder:
        try:
            for left in folder.iterdir():
                if left.name != "lock":
                    left.unlink()
            yield folder
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _run(job: Job, data: PreparedData) -> EncodedFile:
    chunks, _ = stage_all(job)
    schema, labeled = _settle(job, chunks, data)
    ranges = merge_all(job, chunks, schema.fields)
    memory = job.budget.tasks_bytes
    unknown = look_up_ids(ranges, data, job.folder, memory, job.progress)
    encode_all(job, chunks, schema, _numbering(data, ranges))
    encoded = EncodedFile(
        path=Path(job.options.out),
        data_fingerprint=data.fingerprint,
        source=job.options.source,
        layout=data.manifest.layout,
        fields=schema.fields,
        n_features=data.n_features,
        rows=schema.rows[_ONLY],
        labeled=labeled,
        quarantined_rows=_write_quarantine(job, chunks),
        unknown=unknown,
        missing=_missing(chunks, schema.fields),
    )
    blocks = _rows_of_chunks(job, chunks, schema)
    write_encoded(encoded, blocks, data.manifest.row_group_rows)
    return encoded


def _settle(
    job: Job, chunks: Sequence[ChunkStats], data: PreparedData
) -> tuple[Schema, bool]:
    """See that the rows fit the data; tell their layout, and whether they have labels.

    Labels -1 and 1 become 0 and 1 where the data's labels are.
    """
    names = tuple(field.name for field in data.fields)
    where = ", ".join(job.options.raw)
    strange = {name for chunk in chunks for name in chunk.columns} - {*names}
    if strange:
        raise DataError(
            f"{where} has fields that {data.folder} does not know "
            f"({', '.join(sorted(strange))}); leave them out of the rows"
        )
    filled = [chunk for chunk in chunks if chunk.rows[_ONLY]]
    bare = [math.isnan(chunk.label_sums[_ONLY]) for chunk in filled]
    if any(bare) and not all(bare):
        raise DataError(
            f"some of {where} have labels and some have none; encode them apart"
        )
    labeled = not any(bare)
    plus_minus = False
    if labeled and data.task == "classification":
        zero_one = all(chunk.zero_one for chunk in filled)
        plus_minus = not zero_one and all(chunk.plus_minus for chunk in filled)
        if not zero_one and not plus_minus:
            raise DataError(
                f"the labels of {where} are neither all 0 or 1 nor all -1 or 1, as "
                f"those of {data.folder} were; mend them"
            )
    n_rows = sum(chunk.rows[_ONLY] for chunk in chunks)
    unit = all(column.unit for chunk in chunks for column in chunk.columns.values())
    layout = Layout(
        lists=data.manifest.layout == "lists",
        unit_values=unit,
        plus_minus=plus_minus,
        partition_rows=n_rows,
        group_rows=data.manifest.row_group_rows,
        partitions=(0, 0, 1),
    )
    return Schema(names, data.manifest.task, layout, (0, 0, n_rows)), labeled


def _numbering(data: PreparedData, ranges: Sequence[Range]) -> Numbering:
    no_counts = np.empty(0, np.int64)
    rare_ids = tuple(field.rare_id for field in data.fields)
    return Numbering(
        data.n_features,
        tuple(field.null_id for field in data.fields),
        rare_ids,
        tuple(field.n_features - 2 for field in data.fields),
        tuple(
            RangeIds(part, no_counts, no_counts, rare_ids[part.field])
            for part in ranges
        ),
    )


def _missing(chunks: Sequence[ChunkStats], names: Sequence[str]) -> dict[str, int]:
    return {
        name: sum(
            chunk.columns[name].nulls[_ONLY]
            for chunk in chunks
            if name in chunk.columns
        )
        for name in names
    }


def _rows_of_chunks(
    job: Job, chunks: Sequence[ChunkStats], schema: Schema
) -> Iterator[Rows]:
    """Read the encoded chunks back, in order."""
    n_rows = 0
    for chunk in chunks:
        stem = job.folder / f"{chunk.number:06d}"
        labels = np.fromfile(stem.with_suffix(".labels"), np.float32)
        ids = np.fromfile(stem.with_suffix(".ids"), np.int32)
        lengths = np.full(len(labels), len(schema.fields), np.int64)
        values = None
        if schema.layout.lists:
            lengths = np.fromfile(stem.with_suffix(".lengths"), np.int64)
            values = np.ones(len(ids), np.float32)
            if not schema.layout.unit_values:
                values = np.fromfile(stem.with_suffix(".values"), np.float32)
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        n_rows += len(labels)
        job.progress("write", n_rows, schema.rows[_ONLY], "rows")
        yield Rows(indptr, ids, values, None, labels)


def _write_quarantine(job: Job, chunks: Sequence[ChunkStats]) -> int:
    """Write the refused rows beside the file, or remove old ones; return how many."""
    numbers = [chunk.number for chunk in chunks if chunk.refused]
    beside = quarantine_path(Path(job.options.out))
    if numbers:
        join_refused(job.folder, numbers, beside)
    else:
        beside.unlink(missing_ok=True)
    return sum(chunk.refused for chunk in chunks)


def quarantine_path(out: Path) -> Path:
    """Name the file that rows refused on the way to `out` are set aside in."""
    return out.with_name(f"{out.stem}.quarantine.parquet")
