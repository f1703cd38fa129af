"""Quality of predictions: log loss and AUC of clicks, RMSE and its kin of ratings.

All are exact over a whole split, whose scores are held in memory: 8 bytes a row for
the scores, 4 for the labels, and about 24 more while the AUC sorts them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metrics = dict[str, float | None]

SELECTION = {"log": "log_loss", "square": "square_loss"}
"""The metric that is the mean of each loss."""


def measure(
    loss: str, scores: NDArray[np.float64], labels: NDArray[np.float32]
) -> Metrics:
    """Compute the metrics that go with a loss.

    Parameters
    ----------
    loss : str                        log or square
    scores : float64[n_rows]          margins (log) or ratings (square); not empty
    labels : float32[n_rows]          0 and 1 (log) or ratings (square)

    Returns
    -------
    dict of metric name to value      log_loss, auc (None where one class only is seen),
                                      or rmse, square_loss (its square), mae
    """
    if loss == "log":
        return {"log_loss": log_loss(scores, labels), "auc": auc(scores, labels)}
    errors = scores - labels
    square_loss = float(np.mean(errors**2))
    return {
        "rmse": float(np.sqrt(square_loss)),
        "square_loss": square_loss,
        "mae": float(np.mean(np.abs(errors))),
    }


def log_loss(scores: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    """Compute the mean of -log P(label), P(1) = sigmoid(score); cannot overflow."""
    return float(np.mean(np.logaddexp(0.0, np.where(labels > 0, -scores, scores))))


def auc(scores: NDArray[np.float64], labels: NDArray[np.float32]) -> float | None:
    """Compute the area under the ROC curve exactly; equal scores count one half.

    Parameters
    ----------
    scores : float64[n_rows]          any monotone function of the probability
    labels : float32[n_rows]          0 and 1

    Returns
    -------
    float | None                      None where the labels are all of one class

    References
    ----------
    Mann and Whitney 1947: the share of (positive, negative) pairs in right order.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    positive = labels[order] > 0
    ends = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    positives = np.diff(np.cumsum(positive)[ends], prepend=0)
    negatives = np.diff(ends, prepend=-1) - positives
    pairs = int(positives.sum()) * int(negatives.sum())
    if pairs == 0:
        return None
    below = np.cumsum(negatives) - negatives
    twice_right = int(np.sum(positives * (2 * below + negatives)))
    return twice_right / (2 * pairs)


def selection_loss(loss: str, metrics: Metrics) -> float:
    """Return the metric by which the best epoch is chosen; smaller is better."""
    value = metrics[SELECTION[loss]]
    assert value is not None  # only the AUC can be missing
    return value


def progressive_metrics(loss: str, mean_loss: float) -> Metrics:
    """Return the metrics of rows that were each scored before their own step."""
    if loss == "log":
        return {"log_loss": mean_loss}
    return {"rmse": math.sqrt(mean_loss), "square_loss": mean_loss}


def notes_on(metrics: Metrics, split: str) -> list[str]:
    """Say why a metric is missing."""
    if metrics.get("auc", 0.0) is None:
        return [f"the {split} split holds labels of one class only: it has no AUC"]
    return []
