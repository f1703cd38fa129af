"""The losses, their slopes, and the probability that a score stands for."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Loss = Literal["log", "square"]
LOSSES: tuple[str, ...] = get_args(Loss)
FloatArray: TypeAlias = NDArray[np.float64]


def check_loss(loss: str) -> None:
    """Raise ValueError for a loss that is not one of `LOSSES`."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; choose one of {', '.join(LOSSES)}")


def probability(scores: NDArray[np.floating]) -> FloatArray:
    """Sigmoid of each score, float64; overflow-safe, exact 0 and 1 far out."""
    z = np.asarray(scores, dtype=np.float64)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def loss_values(
    loss: Loss, scores: NDArray[np.floating], targets: NDArray[np.floating]
) -> FloatArray:
    """Loss of each row, float64[n_rows].

    `log`: log(1 + exp(z)) - y z, for y in [0, 1]. `square`: (z - y)^2.
    """
    z = np.asarray(scores, dtype=np.float64)
    y = np.asarray(targets, dtype=np.float64)
    if loss == "square":
        return (z - y) ** 2
    return np.maximum(z, 0.0) - y * z + np.log1p(np.exp(-np.abs(z)))


def slopes(
    loss: Loss, scores: NDArray[np.floating], targets: NDArray[np.floating]
) -> FloatArray:
    """Slope of each row's loss at its score: sigmoid(z) - y, or z - y, float64[n_rows].

    The factor 2 of the square loss goes into the learning rate, as in libFM, so that
    both losses have the same form.
    """
    y = np.asarray(targets, dtype=np.float64)
    if loss == "square":
        return np.asarray(scores, dtype=np.float64) - y
    return probability(scores) - y


def level_slopes(
    loss: Loss, scores: NDArray[np.floating], next_scores: NDArray[np.floating]
) -> FloatArray:
    """Slope of a level's loss whose target is the next level's prediction.

    sigmoid(z_k) - sigmoid(z_k+1) for `log` (a soft label), z_k - z_k+1 for `square`.
    """
    if loss == "square":
        return slopes("square", scores, next_scores)
    return slopes("log", scores, probability(next_scores))
