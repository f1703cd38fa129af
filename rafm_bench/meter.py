"""Quality of predictions, measured chunk by chunk in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.errors import Diverged
from rafm_bench.ranking import Ranking
from rafm_kernels import probability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_bench.metrics import Metrics

    Scores = NDArray[np.float64]
    Labels = NDArray[np.float32]


class Meter:
    """Metrics of one split, for loss `log` (clicks) or `square` (ratings).

    It keeps a few sums of each chunk and adds them up without rounding in the end, so
    that meters of pieces of a split, each cut where a chunk ends, merge to the bits of
    one meter that saw it all. Memory: 32 MiB, see `Ranking`, and 40 bytes a chunk.
    """

    def __init__(self, loss: str) -> None:
        """Begin without rows."""
        self.loss = loss
        self.n_rows = self.n_not_finite = 0
        self._chunks: list[tuple[float, ...]] = []
        self._ranking = Ranking()

    def add(self, scores: Scores, labels: Labels) -> None:
        """Take a chunk.

        Parameters
        ----------
        scores : float64[n_rows]          margins (log) or ratings (square)
        labels : float32[n_rows]          0 and 1 (log) or ratings (square)
        """
        finite = np.isfinite(scores)
        self.n_rows += scores.size
        self.n_not_finite += scores.size - int(np.count_nonzero(finite))
        if self.n_not_finite or not scores.size:
            return
        if self.loss == "log":
            self._ranking.add(scores, labels > 0)
        sums = _sums_of_clicks if self.loss == "log" else _sums_of_ratings
        self._chunks.append((float(scores.size), *sums(scores, labels)))

    def merge(self, other: Meter) -> None:
        """Take the chunks of another meter."""
        self.n_rows += other.n_rows
        self.n_not_finite += other.n_not_finite
        self._chunks += other._chunks
        self._ranking.merge(other._ranking)

    def metrics(self, split: str = "") -> Metrics:
        """Return the metrics of all rows so far; see `rafm_bench.metrics`.

        An error names `split`.

        Raises
        ------
        ValueError                        when there are no rows
        Diverged                          when a score was not finite
        """
        if not self.n_rows:
            raise ValueError("a meter without rows has no metrics; add some first")
        if self.n_not_finite:
            of_split = f" of split {split}" if split else ""
            raise Diverged(
                f"{self.n_not_finite:,} of {self.n_rows:,} scores{of_split} are not "
                "finite; train with a smaller --learning-rate"
            )
        return self._of_clicks() if self.loss == "log" else self._of_ratings()

    def _of_clicks(self) -> Metrics:
        loss, squares, predicted, positives = self._totals()
        auc = self._ranking.auc()
        error: Metrics = {} if auc.error is None else {"auc_error": auc.error}
        return {
            "log_loss": loss / self.n_rows,
            "auc": auc.value,
            **error,
            "brier": squares / self.n_rows,
            "calibration": predicted / positives if positives else None,
        }

    def _of_ratings(self) -> Metrics:
        squares, errors, labels, within = self._totals()
        mean = labels / self.n_rows
        between = math.fsum(
            n * (total / n - mean) ** 2 for n, _, _, total, _ in self._chunks
        )
        spread = within + between
        return {
            "rmse": math.sqrt(squares / self.n_rows),
            "square_loss": squares / self.n_rows,
            "mae": errors / self.n_rows,
            "r2": 1 - squares / spread if spread else None,
        }

    def _totals(self) -> list[float]:
        return [math.fsum(column) for column in zip(*self._chunks, strict=True)][1:]


def _sums_of_clicks(scores: Scores, labels: Labels) -> tuple[float, ...]:
    """Sum log losses, squared errors and values of probabilities, and labels."""
    predicted = probability(scores)
    positive = labels > 0
    losses = np.logaddexp(0.0, np.where(positive, -scores, scores))
    squares = (predicted - positive) ** 2
    return tuple(
        float(np.sum(column)) for column in (losses, squares, predicted, positive)
    )


def _sums_of_ratings(scores: Scores, labels: Labels) -> tuple[float, ...]:
    """Sum squared and absolute errors, labels, and their squares around the mean."""
    exact = labels.astype(np.float64)
    errors = scores - exact
    columns = (errors**2, np.abs(errors), exact, (exact - np.mean(exact)) ** 2)
    return tuple(float(np.sum(column)) for column in columns)
