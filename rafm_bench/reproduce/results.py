"""What the runs of a cell came to: means and intervals over seeds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.reproduce.work import Place
    from rafm_bench.store import Row

T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The 97.5 % quantile of Student's t for 1, 2, ... 30 degrees of freedom."""
NORMAL_975 = 1.960


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and half the width of its 95 % interval; None from one value alone."""

    mean: float
    half: float | None
    n: int

    def __str__(self) -> str:
        """Write it as 0.1234 ± 0.0012."""
        if self.half is None:
            return f"{self.mean:.4f}"
        around = "<0.0001" if 0 < self.half < 0.00005 else f"{self.half:.4f}"
        return f"{self.mean:.4f} ± {around}"

    @property
    def low(self) -> float:
        """Return the lower end."""
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        """Return the upper end."""
        return self.mean + (self.half or 0.0)


def interval(values: Sequence[float]) -> Interval | None:
    """Return mean and 95 % interval by Student's t; None without values."""
    n = len(values)
    if not n:
        return None
    if n == 1:
        return Interval(values[0], None, 1)
    t = T_975[n - 2] if n - 2 < len(T_975) else NORMAL_975
    half = t * statistics.stdev(values) / math.sqrt(n)
    return Interval(statistics.fmean(values), half, n)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The runs of a cell that came to an end, and the errors of the others."""

    cell: Cell
    rows: tuple[Row, ...]
    errors: tuple[str, ...]

    @property
    def loss_name(self) -> str:
        """Return the name of the loss that the tables tell."""
        return "rmse" if self.rows and self.rows[0]["loss"] == "square" else "log_loss"

    def interval(self, column: str) -> Interval | None:
        """Return the interval of a column over the seeds."""
        values = [row.get(column) for row in self.rows]
        return interval([value for value in values if value is not None])

    def mean(self, column: str) -> float | None:
        """Return the mean of a column; None where it is empty."""
        found = self.interval(column)
        return None if found is None else found.mean

    def least(self, column: str) -> float | None:
        """Return the least value of a column, for times, which only grow by others."""
        return min((row[column] for row in self.rows), default=None)

    @property
    def loss(self) -> Interval | None:
        """Return the test loss, as the protocol measures it."""
        return self.interval(f"test_{self.loss_name}")

    @property
    def auc(self) -> Interval | None:
        """Return the test AUC, as the protocol measures it."""
        return self.interval("test_auc")

    @property
    def was_cut(self) -> bool:
        """Tell whether most runs were best at the last epoch that they could have."""
        n_cut = sum(row["best_epoch"] >= row["epochs"] for row in self.rows)
        return bool(2 * n_cut > len(self.rows))

    @property
    def n_parameters(self) -> int | None:
        """Return the number of parameters."""
        return self.rows[0]["n_parameters"] if self.rows else None


def outcome(cell: Cell, place: Place) -> Outcome:
    """Return what the newest run of each seed came to, on the data at hand."""
    newest = {
        row["seed"]: row
        for row in place.rows(cell)
        if row["seed"] in place.budget.seeds
    }
    rows = [newest[seed] for seed in sorted(newest)]
    return Outcome(
        cell,
        tuple(row for row in rows if row["status"] == "done"),
        tuple(row["error"] for row in rows if row["status"] != "done"),
    )
