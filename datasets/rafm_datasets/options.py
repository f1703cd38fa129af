"""`PrepareOptions`: everything `prepare` can be told, checked where it is made."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rafm_datasets.description import TableDescription
    from rafm_datasets.manifest import Task

SplitRule = Literal["random", "given", "time"]
SPLIT_RULES = ("random", "given", "time")
BAD_ROW_RULES = ("stop", "quarantine")
_OF_RULE = {"fractions": "random", "period": "time", "holdout": "time"}
_HOUR, _DAY = 3600, 86_400
_UNITS = {"h": _HOUR, "d": _DAY, "w": 7 * _DAY}


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """What to prepare, from what, into which folder, how.

    `fractions` are for random splits: None stands for 0.8, 0.1, 0.1.

    A split by time puts the last `holdout[1]` periods into test and the `holdout[0]`
    before them into validation (None: one and one); `period` is a number of hours, days
    or weeks (12h, 1d, 2w; None: 1d), counted back from the end of the last hour (or
    day) of the data.

    Values seen fewer than `min_count` times in training are read as rare;
    `field_min_counts` holds the fields that have a number of their own.

    With purpose "encode" rows are read to be given the ids of prepared data: labels may
    be absent, and a source of positives draws no negatives.

    Where `out` is an address such as s3://bucket/data, `work` is the local folder to
    work in (None: one in the user's cache, named by the address).

    `parameters` are those that shape the data; the rest only says where the work is
    done and may differ between a run and its resumption.
    """

    source: str
    raw: tuple[str, ...]
    out: str
    split: SplitRule = "random"
    fractions: tuple[float, float, float] | None = None
    period: str | None = None
    holdout: tuple[int, int] | None = None
    seed: int = 0
    min_count: int = 1
    field_min_counts: Mapping[str, int] = field(default_factory=dict)
    count_splits: Literal["train", "all"] = "train"
    task: Task | None = None
    hour: Literal["split", "drop"] | None = None
    description: TableDescription | None = None
    on_bad_row: Literal["stop", "quarantine"] = "stop"
    purpose: Literal["prepare", "encode"] = "prepare"
    memory_limit: int | None = None
    threads: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    work: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what no data set could be prepared with."""
        if not self.raw:
            raise DataError("no raw file is given; name at least one")
        _check_one_of("split", self.split, SPLIT_RULES)
        self._check_counts()
        _check_one_of("count_splits", self.count_splits, ("train", "all"))
        _check_one_of("on_bad_row", self.on_bad_row, BAD_ROW_RULES)
        _check_one_of("task", self.task, (None, "classification", "regression"))
        _check_one_of("hour", self.hour, (None, "split", "drop"))
        if self.work is not None and "://" not in self.out:
            raise DataError(
                f"work is for an out that is an address, and {self.out} is a folder: "
                "leave it out"
            )
        if self.work is not None and "://" in self.work:
            raise DataError(f"work must be a local folder, got {self.work}")
        if self.hour and self.source != "avazu":
            raise DataError(
                f"hour is an option of source avazu, not of {self.source}; leave it out"
            )
        if (self.description is None) == (self.source == "table"):
            raise DataError(
                "source table needs to be told what the columns are; give --describe "
                'FILE, where FILE holds at least label = "clicked"'
                if self.source == "table"
                else f"a description is for source table, not for {self.source}; leave "
                "it out"
            )
        for name, rule in _OF_RULE.items():
            if getattr(self, name) is not None and self.split != rule:
                raise DataError(
                    f"{name} is for a split that is {rule}, not {self.split}; leave it "
                    f"out, or give --split {rule}"
                )
        _check_places(self.threads, self.workers, self.scheduler)
        _check_fractions(self.split_fractions)
        _check_periods(*self.periods)

    def _check_counts(self) -> None:
        if self.min_count < 1:
            raise DataError(f"min_count must be 1 or more, got {self.min_count}")
        for name, least in self.field_min_counts.items():
            if least < 1:
                raise DataError(
                    f"min_count of field {name} must be 1 or more, got {least}"
                )

    @property
    def split_fractions(self) -> tuple[float, float, float]:
        """Shares of the splits of a random split."""
        return self.fractions or (0.8, 0.1, 0.1)

    @property
    def periods(self) -> tuple[str, tuple[int, int]]:
        """Period of a split by time, and how many of them are held out."""
        return self.period or "1d", self.holdout or (1, 1)

    @property
    def parameters(self) -> dict[str, Any]:
        """The options that shape the data, as plain JSON values."""
        shaping: dict[str, Any] = {
            "split": self.split,
            "fractions": (
                list(self.split_fractions) if self.split == "random" else None
            ),
            "min_count": self.min_count,
            "field_min_counts": dict(sorted(self.field_min_counts.items())),
            "count_splits": self.count_splits,
            "task": self.task,
            "on_bad_row": self.on_bad_row,
        }
        if self.source == "avazu":
            shaping["hour"] = self.hour or "split"
        if self.description is not None:
            shaping["description"] = self.description.content
        if self.split == "time":
            period, holdout = self.periods
            shaping |= {"period": period, "holdout": list(holdout)}
        return shaping

    @property
    def period_seconds(self) -> tuple[int, int]:
        """Length of a period, and of the hour or day whose end it is counted from."""
        period, _ = self.periods
        number, unit = period[:-1], period[-1]
        return int(number) * _UNITS[unit], _HOUR if unit == "h" else _DAY

    def least_counts(self, fields: Iterable[str]) -> tuple[int, ...]:
        """Give how often a value must be seen in each field not to be rare.

        Parameters
        ----------
        fields : iterable of str       all fields of the data, in order

        Returns
        -------
        tuple of int

        Raises
        ------
        DataError                      `field_min_counts` names another field
        """
        known = tuple(fields)
        for name in self.field_min_counts:
            if name not in known:
                raise DataError(
                    f"min_count names a field {name!r} that the data does not have; "
                    f"its fields are {', '.join(known)}"
                )
        return tuple(self.field_min_counts.get(name, self.min_count) for name in known)


def _check_one_of(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        words = ", ".join(str(item) for item in known if item is not None)
        raise DataError(f"{name} must be one of {words}, got {value}")


def _check_places(
    threads: int | None, workers: int | None, scheduler: str | None
) -> None:
    given = {"threads": threads, "workers": workers, "scheduler": scheduler}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise DataError(
            f"{' and '.join(names)} cannot be given together; choose threads, worker "
            "processes, or the scheduler of a running cluster"
        )
    for name in ("threads", "workers"):
        number = given[name]
        if isinstance(number, int) and number < 1:
            raise DataError(f"{name} must be 1 or more, got {number}")


def _check_periods(period: str, holdout: tuple[int, ...]) -> None:
    if not re.fullmatch(r"[1-9]\d{0,5}[hdw]", period):
        raise DataError(
            f"period must be a number of hours, days or weeks such as 12h, 1d or 2w, "
            f"got {period!r}"
        )
    if len(holdout) != 2 or min(holdout) < 0 or not any(holdout):
        text = ",".join(map(str, holdout))
        raise DataError(
            "holdout must be two numbers of periods, for validation and test, none "
            f"negative and not both 0, got {text}; try 1,1"
        )


def _check_fractions(fractions: tuple[float, ...]) -> None:
    total = math.fsum(fractions)
    wrong = len(fractions) != 3 or min(fractions, default=0) < 0
    if wrong or not math.isclose(total, 1, abs_tol=1e-9) or fractions[0] == 0:
        text = ",".join(f"{fraction:g}" for fraction in fractions)
        raise DataError(
            f"fractions must be three numbers, none negative and the first above 0, "
            f"that sum to 1, got {text} (sum {total:g}); try 0.8,0.1,0.1"
        )
