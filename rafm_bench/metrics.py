"""Names of the metrics, what they are worth, and what there is to say of them.

| name | of | meaning |
| --- | --- | --- |
| log_loss | clicks | mean of -log P(label); the best epoch is chosen by it |
| auc | clicks | share of (positive, negative) pairs in right order, ties one half |
| auc_error | clicks | how far off `auc` may be at most; only where it is not exact |
| brier | clicks | mean of (P(1) - label)^2 |
| calibration | clicks | mean of P(1) over mean of labels |
| rmse, square_loss | ratings | root of the mean square of errors, that mean |
| mae | ratings | mean size of errors |
| r2 | ratings | 1 - square_loss / variance of the labels |

`auc` is None where the labels are of one class, `calibration` where none is positive,
`r2` where they are all equal. Runs of older versions lack the newer names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Metrics = dict[str, float | None]

SELECTION = {"log": "log_loss", "square": "square_loss"}
"""The metric that is the mean of each loss."""
WORDS = {"auc": "AUC", "rmse": "RMSE", "mae": "MAE", "r2": "R\N{SUPERSCRIPT TWO}"}


def selection_loss(loss: str, metrics: Metrics) -> float:
    """Return the metric by which the best epoch is chosen; smaller is better."""
    value = metrics[SELECTION[loss]]
    assert value is not None  # only others can be missing
    return value


def progressive_metrics(loss: str, mean_loss: float) -> Metrics:
    """Return the metrics of rows that were each scored before their own step."""
    if loss == "log":
        return {"log_loss": mean_loss}
    return {"rmse": math.sqrt(mean_loss), "square_loss": mean_loss}


def shown(metrics: Metrics | None) -> Metrics:
    """Return the metrics that stand in tables: `auc_error` is told in a note."""
    return {
        name: value for name, value in (metrics or {}).items() if name != "auc_error"
    }


def spoken(name: str) -> str:
    """Return a metric's name as people write it."""
    return WORDS.get(name, name.replace("_", " "))


def best_of(name: str, values: Iterable[float | None]) -> float | None:
    """Return the best value of a metric: the nearest to 1, the highest, the lowest."""
    known = [value for value in values if value is not None]
    if name == "calibration":
        return min(known, key=lambda value: abs(value - 1), default=None)
    pick = max if name in ("auc", "r2") else min
    return pick(known, default=None)


def notes_on(metrics: Metrics, split: str) -> list[str]:
    """Say why a metric is missing, and how exact one is."""
    notes = []
    if metrics.get("auc", 0.0) is None:
        notes.append(f"the {split} split holds labels of one class only: it has no AUC")
    if error := metrics.get("auc_error"):
        notes.append(
            f"the {split} split is large: its AUC comes from counts of scores, and is "
            f"at most {1.05 * error:.2g} from the exact one"  # never rounded down
        )
    return notes
