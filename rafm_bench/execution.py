"""How a training run is carried out: what never changes its results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rafm_bench import checks
from rafm_bench.errors import UserError
from rafm_bench.options import check_fields, choice, option

DataPlace = Literal["auto", "memory", "disk"]
ParameterPlace = Literal["memory", "mmap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """All that a run may change when it is resumed; checked when it is made."""

    memory_limit: int | None = field(
        default=None,
        metadata=option(
            checks.optional(checks.size),
            "SIZE",
            "Memory to stay within, e.g. 2GiB [default: half of the machine's]",
        ),
    )
    reader_threads: int = field(
        default=1,
        metadata=option(checks.whole(1), "N", "Threads that read and decode rows."),
    )
    data_in: DataPlace = field(
        default="auto",
        metadata=choice(
            ("auto", "memory", "disk"),
            "Keep the decoded rows in memory, or read them anew every epoch.",
        ),
    )
    parameters: ParameterPlace = field(
        default="memory",
        metadata=choice(
            ("memory", "mmap"),
            "Where the model and what its optimizer keeps are: in memory, or in files "
            "of RUN that are mapped into it.",
        ),
    )
    checkpoint_every: str = field(
        default="10m",
        metadata=option(
            checks.interval,
            "30s|5m|2h|1000steps",
            "Time, or steps, from one checkpoint to the next.",
        ),
    )
    workers: int = field(
        default=0,
        metadata=option(
            checks.whole(0), "N", "Worker processes to start here, which do the work."
        ),
    )
    scheduler: str | None = field(
        default=None,
        metadata=option(
            checks.optional(checks.text),
            "ADDRESS",
            "Dask cluster that does the work, e.g. tcp://host:8786; it sees the data.",
        ),
    )

    def __post_init__(self) -> None:
        """Check every value, and that one place is named at most."""
        check_fields(self)
        if self.workers and self.scheduler is not None:
            raise UserError("give --workers or --scheduler, not both")

    @property
    def place_flag(self) -> str:
        """The flag that gives the work to other processes; "" where there is none."""
        if self.scheduler is not None:
            return "--scheduler"
        return "--workers" if self.workers else ""


STANDARD = Execution()
"""How a run is carried out that asks for nothing."""
