"""What training is going to take of memory, and how it is made to fit a limit.

The model and the shuffle window decide results, so they never shrink: what does not
fit is refused, with the numbers. How far reading runs ahead, and whether decoded rows
are kept, is chosen so that it fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rafm_bench.best import bytes_of_best
from rafm_bench.engine import rows_of_chunk
from rafm_bench.errors import UserError
from rafm_bench.mapped import MappedArrays
from rafm_bench.memory import give_back_memory, memory_bytes
from rafm_bench.scoring import CHUNK_ROWS
from rafm_bench.shards.pieces import AT_ONCE, PIECE_ROWS
from rafm_bench.words import size
from rafm_datasets import (
    Kept,
    Reading,
    decoded_bytes,
    default_limit,
    stream_bytes,
    window_bytes,
)
from rafm_kernels import memory_of, scratch_of

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.job import Job
    from rafm_kernels import TrainMemory

MOST_AHEAD = 2
"""Windows decoded before they are needed, where memory allows: more do not help."""
_VALIDATION_BYTES = 32 << 20  # what measuring a split keeps of its scores
_SCORE_BYTES = 12  # of a row that a worker scored, with its label


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes of the parts of a run, all of which `limit` has to hold.

    `base` is the process as it is, `model` the parameters and the copy of the best
    ones, `optimizer` what it keeps, `scratch` that of the backend or, `elsewhere` where
    workers train, the copy that they are sent, `rows` those that are decoded and what
    measuring keeps; `in_files` are bytes of model and optimizer that are not counted.
    """

    limit: int
    base: int
    model: int
    optimizer: int
    scratch: int
    rows: int
    in_files: int
    window_groups: int
    ahead: int
    keeps_rows: bool
    elsewhere: bool

    @property
    def total(self) -> int:
        """All that has to fit."""
        return self.base + self.model + self.optimizer + self.scratch + self.rows

    def __str__(self) -> str:
        """Tell the parts, their sum and the limit in one line."""
        kept = "all of them kept" if self.keeps_rows else "read anew every epoch"
        how = f"{kept}; windows of {self.window_groups} row groups, {self.ahead} ahead"
        if self.elsewhere:
            how = "here; what each worker takes is not counted"
        files = f", {size(self.in_files)} of model in files" if self.in_files else ""
        return (
            f"memory {size(self.total)} of {size(self.limit)}: program "
            f"{size(self.base)}, model {size(self.model)}, optimizer "
            f"{size(self.optimizer)}, scratch {size(self.scratch)}, rows "
            f"{size(self.rows)} ({how}){files}"
        )


def within_memory(job: Job, folder: Path) -> Job:
    """Return the job with how it is read, and where its arrays are, chosen to fit.

    Parameters
    ----------
    job : what training works with; the plan is told through its report
    folder : where arrays are to be files, if they are

    Raises
    ------
    UserError                         when model and windows do not fit into the limit
    """
    give_back_memory()  # compiling takes much for a while
    plan = plan_memory(job)
    job.report.say(str(plan))
    kept = Kept(job.data, _splits(job)) if plan.keeps_rows else None
    reading = Reading(job.execution.reader_threads, plan.ahead, kept)
    if job.execution.parameters == "mmap":
        return replace(job, reading=reading, allocate=MappedArrays(folder))
    return replace(job, reading=reading)


def plan_memory(job: Job) -> MemoryPlan:
    """Plan a run that begins now: the process is measured as it is.

    Raises
    ------
    UserError                         as `within_memory`
    """
    plans = list(_choices(job))
    for plan in plans:
        if plan.total <= plan.limit:
            return plan
    raise UserError(_refusal(plans[-1], job))


def _choices(job: Job) -> list[MemoryPlan]:
    """List the plans from the one that takes most and is fastest to the leanest."""
    wish = job.execution.data_in
    may_keep = wish != "disk" and not job.execution.place_flag
    kept = [_plan(job, MOST_AHEAD, keeps_rows=True)] if may_keep else []
    if wish == "memory":
        return kept
    aheads = range(MOST_AHEAD, -1, -1)
    return [*kept, *(_plan(job, ahead, keeps_rows=False) for ahead in aheads)]


def _plan(job: Job, ahead: int, *, keeps_rows: bool) -> MemoryPlan:
    told = _state_bytes(job)
    mapped = job.execution.parameters == "mmap"
    elsewhere = bool(job.execution.place_flag)
    return MemoryPlan(
        limit=job.execution.memory_limit or default_limit(),
        base=memory_bytes(),
        model=bytes_of_best(told.parameters) + (0 if mapped else told.parameters),
        optimizer=0 if mapped else told.optimizer,
        scratch=sum(told) if elsewhere else _scratch(job),
        rows=_rows(job, ahead, keeps_rows=keeps_rows),
        in_files=sum(told) if mapped else 0,
        window_groups=job.config.shuffle_window,
        ahead=ahead,
        keeps_rows=keeps_rows,
        elsewhere=elsewhere,
    )


def _state_bytes(job: Job) -> TrainMemory:
    return memory_of(job.model, job.optimizer, job.config.dtype)


def _rows(job: Job, ahead: int, *, keeps_rows: bool) -> int:
    """Bytes of rows while the split that takes most is read."""
    data, reading = job.data, Reading(job.execution.reader_threads, ahead)
    measured = {
        split: stream_bytes(data, split, CHUNK_ROWS, 1, reading) + _VALIDATION_BYTES
        for split in {*_splits(job), "test"} - {"train"}
        if split in data.splits
    }
    if job.execution.place_flag:
        measured["valid"] = _scores(job) + _VALIDATION_BYTES
        return max(measured.values())
    chunk, window = rows_of_chunk(job.config.batch_size), job.config.shuffle_window
    train = stream_bytes(data, "train", chunk, window, reading, kept=keeps_rows)
    others_at_once = job.config.shards - 1  # a shard has windows of its own
    train += others_at_once * stream_bytes(data, "train", chunk, window, reading)
    if keeps_rows:
        kept = [split for split in _splits(job) if split != "train"]
        train += sum(decoded_bytes(data, split) for split in kept)
        return train + max(measured.values(), default=0)
    return max([train, *measured.values()])


def _scores(job: Job) -> int:
    """Bytes of the scores and labels that workers send of pieces of a split at once."""
    rows = 0 if job.config.validation == "progressive" else job.data.rows("valid")
    return min(AT_ONCE * PIECE_ROWS, rows) * _SCORE_BYTES


def _scratch(job: Job) -> int:
    """Bytes that the backend takes for the largest batches, about."""
    config, rows = job.config, job.data.manifest.splits["train"]
    batch = min(config.batch_size, rows.rows)
    entries = -(-rows.entries * batch // rows.rows)
    return scratch_of(job.model, batch, entries, config.dtype)


def _splits(job: Job) -> tuple[str, ...]:
    """Name the splits that are read every epoch."""
    if job.config.validation == "progressive":
        return ("train",)
    return ("train", "valid")


def _refusal(plan: MemoryPlan, job: Job) -> str:
    mends = [f"give --memory-limit {_rounded_up(plan.total)} or more"]
    if plan.keeps_rows:
        mends.append("--data-in disk")
    elif _is_less_with_fewer_groups(job, plan):
        mends.append(f"a --shuffle-window below {plan.window_groups}")
    mappable = 0 if plan.in_files else sum(_state_bytes(job))
    if mappable and plan.total - mappable <= plan.limit:
        mends.append("--parameters mmap")
    return f"training does not fit: {plan}; {', or '.join(mends)}"


def _is_less_with_fewer_groups(job: Job, plan: MemoryPlan) -> bool:
    windows = [window_bytes(job.data, "train", n) for n in (1, plan.window_groups)]
    return not plan.elsewhere and windows[0] < windows[1]


def _rounded_up(n_bytes: int) -> str:
    return f"{-(-n_bytes // 2**20)}MiB"
