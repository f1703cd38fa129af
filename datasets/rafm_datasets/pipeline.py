"""Raw files to a prepared folder: the door, and the order of the passes.

parse and count each chunk -> merge the values -> give ids -> encode each chunk ->
write each partition -> commit the manifest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rafm_datasets.budget import make_budget
from rafm_datasets.commit import commit
from rafm_datasets.errors import DataError
from rafm_datasets.execute import Progress, silent
from rafm_datasets.location import Address, locate
from rafm_datasets.numbering import number_features
from rafm_datasets.passes import (
    Job,
    assign_all,
    encode_all,
    merge_all,
    stage_all,
    write_all,
)
from rafm_datasets.prepared import PreparedData
from rafm_datasets.raw import RawInput, resolve
from rafm_datasets.schema import settle
from rafm_datasets.sources import load_source
from rafm_datasets.upload import announce, upload, work_place
from rafm_datasets.work import finished_manifest, locked, open_plan, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    upload(data, target, progress)
    return PreparedData(target, data.manifest)


def _prepare_here(
    options: PrepareOptions, out: Path, progress: Progress
) -> PreparedData:
    inputs = raw_inputs(options)
    budget = make_budget(options)
    with locked(out) as folder:
        chunk_bytes = open_plan(folder, options, inputs, budget.chunk_bytes)
        budget = replace(budget, chunk_bytes=chunk_bytes)
        manifest = run_passes(Job(options, inputs, folder, budget, progress))
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
    manifest = finished_manifest(options, raw_inputs(options))
    return None if manifest is None else PreparedData(locate(options.out), manifest)


def raw_inputs(options: PrepareOptions) -> tuple[RawInput, ...]:
    """Resolve the raw arguments; DataError when they do not suit the split."""
    info = load_source(options.source).INFO
    if options.split == "time" and not info.timed:
        raise DataError(
            f"rows of source {options.source} have no time to split by; give another "
            "--split"
        )
    return resolve(options.raw, info.members, given=options.split == "given")


def run_passes(job: Job) -> Manifest:
    """Run all passes, up to the manifest."""
    chunks, raw_files = stage_all(job)
    schema = settle(chunks, load_source(job.options.source).INFO, job.options)
    ranges = merge_all(job, chunks, schema.fields)
    nulls = [_nulls(chunks, name, job.options) for name in schema.fields]
    numbering = number_features(ranges, nulls, job.folder, job.options)
    assign_all(job, schema, numbering)
    encode_all(job, chunks, schema, numbering)
    parts = write_all(job, chunks, schema)
    return commit(job, chunks, schema, numbering, parts, raw_files)


def _nulls(chunks: Sequence[ChunkStats], field: str, options: PrepareOptions) -> int:
    """Count how often a field is missing, in the splits whose counts rank."""
    n_splits = 1 if options.count_splits == "train" else None
    columns = (chunk.columns.get(field) for chunk in chunks)
    return sum(sum(c.nulls[:n_splits]) for c in columns if c is not None)
