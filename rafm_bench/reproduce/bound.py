"""Section 4.2: what bounds the loss of every B_1k from above.

Training brings B_1m to the labels and every B_1k to B_1,k+1. So the loss of B_1k is
bounded by that of B_1m and the distances from there down to k:

    loss(B_1k) <= loss(B_1m) + sum over l = k .. m - 1 of distance(B_1l, B_1,l+1)

For ratings, with roots of mean squares, that is the triangle inequality: it holds for
any model. For clicks the distance is the mean Kullback-Leibler divergence, which is the
loss that trains B_1k without the entropy of its target, so a bound that may fail.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.meter import Meter
from rafm_bench.model_file import load_model
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict
from rafm_bench.run import MODEL
from rafm_bench.scoring import CHUNK_ROWS, chunks_of
from rafm_kernels import load_backend, probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_bench.reproduce.results import Outcome
    from rafm_bench.run import Run
    from rafm_bench.store import Row
    from rafm_datasets import PreparedData

TOLD = ("log_loss", "auc", "rmse")
ROUNDING = 1e-9


def measure_levels(run: Run, data: PreparedData) -> Row:
    """Measure every B_1k of a run on the test split, k = 1..m, and the distances.

    `level_K_*` are metrics of B_1K; `level_K_to_next` its distance from B_1,K+1.
    """
    saved = load_model(run.folder / MODEL)
    backend, loss = load_backend(run.config.backend), saved.model.loss
    meters = [Meter(loss) for _ in saved.model.layout.rank_dims]
    sums: list[list[float]] = [[] for _ in meters[1:]]
    for batch in chunks_of(saved.model, data, "test", CHUNK_ROWS):
        scores = backend.level_scores(
            saved.model, saved.parameters, batch, run.config.threads
        )
        for meter, own in zip(meters, scores, strict=True):
            meter.add(own, batch.labels)
        for parts, (own, target) in zip(sums, pairwise(scores), strict=True):
            parts.append(float(np.sum(_apart(own, target, loss))))
    n_rows = meters[0].n_rows
    return {
        f"level_{k}_{name}": value
        for k, meter in enumerate(meters, start=1)
        for name, value in meter.metrics("test").items()
        if name in TOLD
    } | {
        f"level_{k}_to_next": _mean(math.fsum(parts) / n_rows, loss)
        for k, parts in enumerate(sums, start=1)
    }


def _apart(
    own: NDArray[np.float64], target: NDArray[np.float64], loss: str
) -> NDArray[np.float64]:
    """Return the loss of each row against the next level, less that level's own."""
    if loss == "square":
        return (own - target) ** 2
    change = np.logaddexp(0.0, own) - np.logaddexp(0.0, target)
    return change - probability(target) * (own - target)


def _mean(value: float, loss: str) -> float:
    return math.sqrt(max(0.0, value)) if loss == "square" else value


def judge_bound(models: Sequence[Outcome], where: str) -> Verdict:
    """Judge that every B_1k of every run is below its bound."""
    names = " and ".join(
        [", ".join(one.cell.label for one in models[:-1]), models[-1].cell.label][
            len(models) == 1 :
        ]
    )
    claim = f"Training bounds the loss of every B_1k of {names} from above (Sec. 4.2)"
    losses = [(one.loss_name, row) for one in models for row in one.rows]
    found = [limit for name, row in losses for limit in limits(row, name)]
    if not found:
        why = "no distance between levels was measured; such runs are to be made anew"
        return Verdict(claim, OPEN, where, why)
    worst = max(found, key=lambda one: one[1] / one[2])
    held = all(loss <= bound + ROUNDING for _, loss, bound in found)
    first = [one for one in found if one[0] == 1]
    low, most = (math.fsum(one[i] for one in first) / len(first) for i in (1, 2))
    why = f"B_11 has a mean loss of {low:.4f}, its bound is {most:.4f}; "
    level, loss, bound = worst
    why += (
        "all are below their bounds"
        if held
        else f"B_1{level} has {loss:.4f} in a run where the bound is {bound:.4f}"
    )
    if models[0].loss_name == "rmse":
        why += ", as the triangle inequality has it for any model"
    return Verdict(claim, YES if held else NO, where, why)


def limits(row: Row, loss: str) -> list[tuple[int, float, float]]:
    """Return k, the loss of B_1k and its bound, for k = 1..m - 1, of a run's row."""
    distances: list[float] = []
    while (value := row.get(f"level_{len(distances) + 1}_to_next")) is not None:
        distances.append(value)
    m = len(distances) + 1
    return [
        (
            k,
            row[f"level_{k}_{loss}"],
            row[f"level_{m}_{loss}"] + math.fsum(distances[k - 1 :]),
        )
        for k in range(1, m)
    ]
