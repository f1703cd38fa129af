"""Section 4.2: what bounds the loss of every B_1k from above.

Training brings B_1m to the labels and every B_1k to B_1,k+1, so the losses that it
lowers add up to a bound of the loss of each B_1k:

    loss(B_1k) <= loss(B_1m) + sum over l = k .. m - 1 of loss(B_1l, target B_1,l+1)

For ratings, with roots of mean squares, that is the triangle inequality: it holds for
any model, so it is told and not judged. For clicks the target is soft and its own
entropy, which no training lowers, is in each term. Without it, which leaves the
Kullback-Leibler divergence, the right side is about the loss itself and may be below
it: that is told beside the verdict.
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
from rafm_kernels import load_backend, loss_values, probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_bench.reproduce.results import Outcome
    from rafm_bench.run import Run
    from rafm_bench.store import Row
    from rafm_datasets import PreparedData
    from rafm_kernels import Loss

TOLD = ("log_loss", "auc", "rmse")
ROUNDING = 1e-9


def measure_levels(run: Run, data: PreparedData) -> Row:
    """Measure every B_1k of a run on the test split, k = 1..m.

    `level_K_*` are metrics of B_1K; `level_K_next_loss` is its loss against B_1,K+1,
    `level_K_next_gap` that loss less the entropy of B_1,K+1, for clicks.
    """
    saved = load_model(run.folder / MODEL)
    backend, loss = load_backend(run.config.backend), saved.model.loss
    meters = [Meter(loss) for _ in saved.model.layout.rank_dims]
    pairs = [Pair(loss) for _ in meters[1:]]
    for batch in chunks_of(saved.model, data, "test", CHUNK_ROWS):
        scores = backend.level_scores(
            saved.model, saved.parameters, batch, run.config.threads
        )
        for meter, own in zip(meters, scores, strict=True):
            meter.add(own, batch.labels)
        for pair, (own, target) in zip(pairs, pairwise(scores), strict=True):
            pair.add(own, target)
    measured = {
        f"level_{k}_{name}": value
        for k, meter in enumerate(meters, start=1)
        for name, value in meter.metrics("test").items()
        if name in TOLD
    }
    for k, pair in enumerate(pairs, start=1):
        measured |= {f"level_{k}_{name}": value for name, value in pair.means().items()}
    return measured


class Pair:
    """The loss of a level's scores against those of the next level, chunk by chunk."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.sums: list[tuple[int, float, float]] = []

    def add(self, own: NDArray[np.float64], target: NDArray[np.float64]) -> None:
        """Take a chunk of scores of both."""
        soft = probability(target) if self.loss == "log" else target
        total, least = (
            float(np.sum(loss_values(self.loss, scores, soft)))
            for scores in (own, target)
        )
        self.sums.append((own.size, total, total - least))

    def means(self) -> Row:
        """Return the mean loss and, for clicks, what is above the least possible."""
        n, total, gap = (math.fsum(column) for column in zip(*self.sums, strict=True))
        if self.loss == "square":
            return {"next_loss": math.sqrt(total / n)}
        return {"next_loss": total / n, "next_gap": gap / n}


def judge_bound(ours: Outcome, where: str) -> Verdict:
    """Judge that every B_1k of every run of a RaFM on clicks is below its bound."""
    name = ours.cell.label
    claim = f"Training bounds the loss of every B_1k from above (Sec. 4.2): {name}"
    found = _limits(ours, "next_loss")
    if not found:
        why = "losses between levels were not measured; such runs are to be made anew"
        return Verdict(claim, OPEN, where, why)
    held = sum(loss <= bound + ROUNDING for _, loss, bound in found)
    tight = _limits(ours, "next_gap")
    above = sum(loss > bound + ROUNDING for _, loss, bound in tight)
    why = (
        f"{held} of {len(found)} losses of {len(ours.rows)} runs are below their "
        f"bounds; {_of_first(found)}; without the entropy of the targets "
        f"{_of_first(tight)}, and {above} of {len(tight)} are above"
    )
    return Verdict(claim, YES if held == len(found) else NO, where, why)


def tell_bound(ours: Outcome, where: str) -> list[str]:
    """Tell how near a RaFM's losses of ratings come to their bounds; [] without any."""
    found = _limits(ours, "next_loss")
    if not found:
        return []
    return [
        f"Section 4.2, {ours.cell.label}, {where}: {_of_first(found)}. For ratings the "
        "bound is the triangle inequality, which holds for any model: it is no claim."
    ]


def _limits(ours: Outcome, by: str) -> list[tuple[int, float, float]]:
    return [one for row in ours.rows for one in limits(row, ours.loss_name, by)]


def _of_first(found: Sequence[tuple[int, float, float]]) -> str:
    first = [limit for limit in found if limit[0] == 1]
    loss, bound = (math.fsum(one[i] for one in first) / len(first) for i in (1, 2))
    return f"B_11 has {loss:.4f} where the bound is {bound:.4f} in the mean"


def limits(row: Row, loss: str, by: str) -> list[tuple[int, float, float]]:
    """Return k, the loss of B_1k and its bound, for k = 1..m - 1, of a run's row."""
    terms: list[float] = []
    while (value := row.get(f"level_{len(terms) + 1}_{by}")) is not None:
        terms.append(value)
    m = len(terms) + 1
    return [
        (
            k,
            row[f"level_{k}_{loss}"],
            row[f"level_{m}_{loss}"] + math.fsum(terms[k - 1 :]),
        )
        for k in range(1, m)
    ]
