"""What `prepare` would do and take, told from a sample that is prepared for real.

Records from several places of the raw texts are prepared twice in the temporary folder
of the system, a quarter of them and all of them: the difference gives the time a row
takes without what every run takes, and how fast new values turn up.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rafm_datasets.budget import BASE_BYTES, default_limit, make_budget
from rafm_datasets.errors import DataError
from rafm_datasets.job import Job
from rafm_datasets.negatives import PER_POSITIVE
from rafm_datasets.options import PrepareOptions
from rafm_datasets.pipeline import find_finished, run_passes, settled
from rafm_datasets.pools import open_pool
from rafm_datasets.raw import RawInput
from rafm_datasets.sampling import Sample, take_sample
from rafm_datasets.sources import load_source, source_info
from rafm_datasets.upload import work_place
from rafm_datasets.work import QUARANTINE, locked, would_resume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_datasets.manifest import Manifest
    from rafm_datasets.sources import SourceInfo

_SAMPLE_BYTES = 8 << 20
_LEAST_BYTES = 256 << 10  # of each file
_CHUNKS = 8  # of the sample, so that all workers have some


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One raw text; `text_bytes` is an estimate unless `exact`."""

    label: str
    split: str | None
    stored_bytes: int
    text_bytes: int
    exact: bool
    rows: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would come to, from a sample; bytes, seconds and rows are rough.

    `peak_disk_bytes` is what the folder holds at most, work files included.
    """

    sample_rows: int
    sample_refused: int
    first_reason: str | None
    rows: int
    features: int
    final_bytes: int
    peak_disk_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What `prepare` would do: begin, resume, or nothing; `estimate` is None then."""

    action: Literal["begin", "resume", "nothing"]
    out: str
    files: tuple[PlannedFile, ...]
    estimate: Estimate | None
    free_bytes: int
    memory_limit: int
    base_bytes: int
    workers: int
    chunk_bytes: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trial:
    rows: int
    seconds: float
    manifest: Manifest
    final_bytes: int
    frequency_bytes: int
    peak_bytes: int
    first_reason: str | None


def plan_prepare(options: PrepareOptions) -> Plan:
    """Tell what `prepare` would do with these options; neither raw nor out is touched.

    Parameters
    ----------
    options : PrepareOptions

    Returns
    -------
    Plan

    Raises
    ------
    DataError                          what `prepare` would refuse at once
    """
    asked, (options, inputs) = options, settled(options)
    action: Literal["begin", "resume", "nothing"] = "nothing"
    if find_finished(asked) is None:
        going_on = would_resume(work_place(options), options, inputs)
        action = "resume" if going_on else "begin"
    source, info = load_source(options.source), source_info(options)
    share = max(_SAMPLE_BYTES // len(inputs), _LEAST_BYTES)
    samples = [take_sample(item, source, options, share) for item in inputs]
    estimate = None
    if action != "nothing":
        estimate = _estimate(samples, info, options)
    with open_pool(options) as pool:
        n_tasks, budget = pool.size, make_budget(options, pool)
        base_bytes = BASE_BYTES * (1 + pool.n_processes)
    plan = Plan(
        action=action,
        out=options.out,
        files=tuple(_planned(sample, info) for sample in samples),
        estimate=estimate,
        free_bytes=free_bytes(work_place(options)),
        memory_limit=options.memory_limit or default_limit(),
        base_bytes=base_bytes,
        workers=n_tasks,
        chunk_bytes=budget.chunk_bytes,
        warnings=(),
    )
    return replace(plan, warnings=tuple(_warnings(plan, options)))


def short_of_disk(options: PrepareOptions) -> str | None:
    """Say so when there is clearly not the disk to prepare on, without any sample.

    Work files and result take more than half of the raw text; a packed text is longer
    than its file.
    """
    stored = sum(item.size() for item in settled(options)[1])
    free = free_bytes(work_place(options))
    if free >= stored // 2:
        return None
    return (
        f"the raw files hold {stored:,} bytes and {free:,} are free at "
        f"{work_place(options)}: the disk will probably not do; --plan tells how much "
        "is needed"
    )


def free_bytes(folder: Path) -> int:
    """Tell how much is free where a folder is, or would be made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _planned(sample: Sample, info: SourceInfo) -> PlannedFile:
    return PlannedFile(
        sample.item.label,
        sample.item.split,
        sample.item.size(),
        sample.text_bytes,
        sample.exact,
        sample.estimated_records * _rows_per_record(info),
    )


def _estimate(
    samples: Sequence[Sample], info: SourceInfo, options: PrepareOptions
) -> Estimate:
    with tempfile.TemporaryDirectory(prefix="rafm-plan-") as name:
        folder = Path(name)
        whole = _try_out(samples, options, folder)
        part = _try_quarter(samples, options, folder) or whole
    n_rows = sum(sample.estimated_records for sample in samples)
    n_rows *= _rows_per_record(info)
    ratio = n_rows / whole.rows
    few, many = part.manifest.n_features, whole.manifest.n_features
    features = _grown(few, many, part, whole, ratio)
    partitions = whole.final_bytes - whole.frequency_bytes
    read = sum(len(sample.records) for sample in samples)
    unpack = sum(sample.unpack_seconds for sample in samples) / read
    text = sum(s.text_bytes for s in samples if s.item.packing != "plain")
    return Estimate(
        sample_rows=whole.rows,
        sample_refused=whole.manifest.quarantined_rows,
        first_reason=whole.first_reason,
        rows=n_rows,
        features=features,
        final_bytes=round(
            partitions * ratio + whole.frequency_bytes * features / max(many, 1)
        ),
        peak_disk_bytes=_grown(part.peak_bytes, whole.peak_bytes, part, whole, ratio),
        seconds=round(_seconds(part, whole, n_rows) + unpack * text, 1),
    )


def _rows_per_record(info: SourceInfo) -> int:
    return 1 if info.choice is None else 1 + PER_POSITIVE


def _first_quarter(sample: Sample) -> Sample:
    """Keep the first quarter of the records; of few records all."""
    cut = sample.records.rfind(b"\n", 0, len(sample.records) // 4) + 1
    return replace(sample, records=sample.records[:cut] or sample.records)


def _try_quarter(
    samples: Sequence[Sample], options: PrepareOptions, folder: Path
) -> _Trial | None:
    """Prepare a quarter of the samples; None when no row of it is left to train on."""
    try:
        return _try_out([_first_quarter(sample) for sample in samples], options, folder)
    except DataError:
        return None


def _try_out(
    samples: Sequence[Sample], options: PrepareOptions, folder: Path
) -> _Trial:
    """Prepare the samples in a folder of their own."""
    place = Path(tempfile.mkdtemp(dir=folder))
    inputs = tuple(_written(sample, place) for sample in samples)
    out = place / "out"
    plain: dict[str, Any] = {
        field.name: field.default
        for field in fields(PrepareOptions)
        if field.name in ("split", "fractions", "period", "holdout")
        and options.split != "random"
    }
    trial = replace(
        options,
        out=str(out),
        work=None,
        scheduler=None,
        on_bad_row="quarantine",
        **plain,
    )
    n_bytes = sum(len(sample.records) for sample in samples)
    peak = 0

    def watch(stage: str, done: int, total: int | None, unit: str) -> None:
        nonlocal peak
        if done == total:
            peak = max(peak, _size(out))

    with locked(out) as work, open_pool(trial) as pool:
        budget = make_budget(trial, pool)
        chunk_bytes = min(budget.chunk_bytes, -(-n_bytes // _CHUNKS))
        budget = replace(budget, chunk_bytes=chunk_bytes)
        started = time.perf_counter()
        stamps = [item.stamp() for item in inputs]
        manifest = run_passes(Job(trial, inputs, work, budget, pool, watch), stamps)
        seconds = time.perf_counter() - started
        peak = max(peak, _size(out))
        shutil.rmtree(work)
    return _Trial(
        rows=sum(split.rows for split in manifest.splits.values()),
        seconds=seconds,
        manifest=manifest,
        final_bytes=_size(out),
        frequency_bytes=(out / manifest.frequencies.name).stat().st_size,
        peak_bytes=peak,
        first_reason=_first_reason(out),
    )


def _written(sample: Sample, folder: Path) -> RawInput:
    path = folder / f"{len(list(folder.iterdir()))}-{sample.item.name}"
    path.write_bytes(sample.header + sample.records)
    return RawInput(str(path), "plain", None, None)


def _first_reason(out: Path) -> str | None:
    import polars as pl

    refused = sorted((out / QUARANTINE).glob("*.parquet"))
    return str(pl.read_parquet(refused[0])["reason"][0]) if refused else None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _grown(few: int, many: int, part: _Trial, whole: _Trial, ratio: float) -> int:
    """Let a figure grow with a power of the rows, as it did within the sample."""
    if whole.rows <= part.rows:  # nothing is known of how it grows
        return round(many * max(ratio, 1.0))
    if ratio <= 1 or not 0 < few < many:
        return many
    power = min(math.log(many / few) / math.log(whole.rows / part.rows), 1.0)
    return round(many * float(ratio**power))


def _seconds(part: _Trial, whole: _Trial, n_rows: int) -> float:
    """Scale what the rows took, and add what a run takes besides."""
    if whole.rows <= part.rows:
        return whole.seconds * n_rows / whole.rows
    per_row = (whole.seconds - part.seconds) / (whole.rows - part.rows)
    per_row = max(per_row, whole.seconds / whole.rows / 4)  # of a noisy clock
    return max(whole.seconds - per_row * whole.rows, 0.0) + per_row * n_rows


def _warnings(plan: Plan, options: PrepareOptions) -> list[str]:
    found = []
    estimate = plan.estimate
    if estimate is not None and estimate.peak_disk_bytes > plan.free_bytes:
        found.append(
            f"{plan.out} would need about {estimate.peak_disk_bytes:,} bytes while it "
            f"is made and {plan.free_bytes:,} are free; choose another --out"
        )
    if estimate is not None and estimate.sample_refused:
        mend = "they would be set aside"
        if options.on_bad_row == "stop":
            mend = "the run would stop there; mend them, or --on-bad-row quarantine"
        found.append(
            f"{estimate.sample_refused:,} of the sampled rows cannot be read (the "
            f"first: {estimate.first_reason}): {mend}"
        )
    return found
