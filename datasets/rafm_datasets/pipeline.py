"""Raw files to a prepared folder: the door, and the order of the passes.

parse and count each chunk -> merge the values -> give ids -> encode each chunk ->
write each partition -> commit the manifest.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_datasets.budget import make_budget
from rafm_datasets.commit import commit
from rafm_datasets.errors import DataError, WriteError
from rafm_datasets.execute import Progress, silent
from rafm_datasets.first_pass import stage_all
from rafm_datasets.job import Job
from rafm_datasets.location import Address, locate
from rafm_datasets.manifest import WORK_FOLDER
from rafm_datasets.negatives import PER_POSITIVE
from rafm_datasets.numbering import number_features
from rafm_datasets.passes import assign_all, encode_all, merge_all, write_all
from rafm_datasets.pools import open_pool
from rafm_datasets.prepared import PreparedData
from rafm_datasets.raw import RawInput, resolve
from rafm_datasets.schema import settle
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.upload import announce, upload, work_place
from rafm_datasets.work import finished_manifest, locked, open_plan, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_datasets.chunk_stats import ChunkStats
    from rafm_datasets.manifest import Manifest
    from rafm_datasets.options import PrepareOptions


def prepare(options: PrepareOptions, progress: Progress | None = None) -> PreparedData:
    """Prepare a data set; on a finished folder with the same options, do nothing.

    Parameters
    ----------
    options : PrepareOptions
    progress : Progress or None        called as progress(stage, done, total, unit)

    Returns
    -------
    PreparedData

    Raises
    ------
    DataError                          a mistake in the options or in the raw data
    """
    finished = find_finished(options)
    if finished is not None:
        return finished
    target = locate(options.out)
    place = work_place(options)
    here = replace(options, out=str(place), work=None)
    progress = progress or silent
    if not isinstance(target, Address):
        return _prepare_here(here, place, progress)
    announce(target)
    data = find_finished(here) or _prepare_here(here, place, progress)
    with locked(place):
        upload(data, target, progress)
    return PreparedData(target, data.manifest)


def _prepare_here(
    options: PrepareOptions, out: Path, progress: Progress
) -> PreparedData:
    options, inputs = settled(options)
    stamps = [item.stamp() for item in inputs]
    with open_pool(options) as pool:
        budget = make_budget(options, pool)
        if source_info(options).choice is not None:  # each row becomes several
            fewer = budget.chunk_bytes // (1 + PER_POSITIVE)
            budget = replace(budget, chunk_bytes=fewer)
        with locked(out) as folder:
            manifest = finished_manifest(options, inputs)
            if manifest is None:  # else another run had the lock until now
                pool.check(folder, read_by_workers(inputs))
                chunk_bytes = open_plan(folder, options, inputs, budget.chunk_bytes)
                budget = replace(budget, chunk_bytes=chunk_bytes)
                # Workers may run in another folder than this process.
                absolute = replace(options, out=str(out.absolute()))
                folder = folder.absolute()
                job = Job(absolute, inputs, folder, budget, pool, progress)
                manifest = run_passes(job, stamps)
            tidy(out, manifest)
    return PreparedData(out, manifest)


def find_finished(options: PrepareOptions) -> PreparedData | None:
    """Look whether `prepare` has nothing left to do.

    Parameters
    ----------
    options : PrepareOptions

    Returns
    -------
    PreparedData or None               None: not begun, or not finished

    Raises
    ------
    DataError                          a folder of something else, or prepared with
                                       other parameters and not to be overwritten
    """
    manifest = finished_manifest(*settled(options))
    if manifest is None:
        return None
    out = locate(options.out)
    if isinstance(out, Address):
        return PreparedData(out, manifest)
    if (out / WORK_FOLDER).is_dir():  # of a run that was killed while it tidied up
        with contextlib.suppress(DataError, WriteError), locked(out):
            tidy(out, manifest)
    return PreparedData(out, manifest)


def settled(
    options: PrepareOptions,
) -> tuple[PrepareOptions, tuple[RawInput, ...]]:
    """Find the raw files, and complete the description of a table by what they hold.

    Parameters
    ----------
    options : PrepareOptions

    Returns
    -------
    PrepareOptions, tuple of RawInput

    Raises
    ------
    DataError                          no such files, or options that do not suit them
    """
    members = load_source(options.source).INFO.members
    inputs = resolve(options.raw, members, given=options.split == "given")
    if options.description is not None:
        from rafm_datasets.sources.table import settle_table

        options, inputs = settle_table(options, inputs)
    info = source_info(options)
    if options.split == "time" and not info.timed:
        raise DataError(
            f"rows of source {options.source} have no time to split by; "
            + (
                "give another --split"
                if options.description is None
                else 'name their column, time = "...", in the description'
            )
        )
    if info.fields:  # else the fields are known once all is read
        options.least_counts(info.fields)
    return options, inputs


def read_by_workers(inputs: Sequence[RawInput]) -> list[str]:
    """Name the raw files that are not unpacked, or fetched, by this process."""
    return [
        str(Path(item.path).absolute())
        for item in inputs
        if item.packing == "plain" and "://" not in item.path
    ]


def run_passes(job: Job, stamps: Sequence[tuple[int, int]]) -> Manifest:
    """Run all passes, up to the manifest; `stamps` are those of the inputs before."""
    try:
        chunks, raw_files = stage_all(job)
    except DataError:
        _refuse_changed(job, stamps)  # which explains any defect better
        raise
    _refuse_changed(job, stamps)
    schema = settle(chunks, source_info(job.options), job.options)
    least = job.options.least_counts(schema.fields)
    ranges = merge_all(job, chunks, schema.fields)
    nulls = [_nulls(chunks, name, job.options) for name in schema.fields]
    numbering = number_features(ranges, nulls, least, job.folder, job.options)
    assign_all(job, schema, numbering)
    encode_all(job, chunks, schema, numbering)
    parts = write_all(job, chunks, schema)
    return commit(job, chunks, schema, numbering, parts, raw_files)


def _refuse_changed(job: Job, stamps: Sequence[tuple[int, int]]) -> None:
    """Refuse raw files that were written to while they were read."""
    for item, stamp in zip(job.inputs, stamps, strict=True):
        try:
            found = item.stamp()
        except FileNotFoundError:
            found = None
        if found != stamp:
            raise DataError(
                f"{item.label} changed while it was read; wait until it is whole and "
                "at rest, then begin anew with --overwrite"
            )


def _nulls(chunks: Sequence[ChunkStats], field: str, options: PrepareOptions) -> int:
    """Count how often a field is missing, in the splits whose counts rank."""
    n_splits = 1 if options.count_splits == "train" else None
    columns = (chunk.columns.get(field) for chunk in chunks)
    return sum(sum(c.nulls[:n_splits]) for c in columns if c is not None)
