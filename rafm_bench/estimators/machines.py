"""The estimators: FM and RaFM, each as a binary classifier and as a regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rafm_bench.errors import UserError
from rafm_bench.estimators.base import FactorizationMachine, whole
from rafm_bench.estimators.describe import described
from rafm_bench.estimators.targets import BinaryClassifier, Regressor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import RandomState


class _WithRank(FactorizationMachine):
    """The parameters of FM."""

    _model = "fm"

    def __init__(
        self,
        rank: int = 16,
        *,
        backend: str = "numba-parallel",
        n_jobs: int | None = None,
        optimizer: str = "adagrad",
        learning_rate: float = 0.05,
        l2: float = 1e-5,
        batch_size: int = 64,
        max_epochs: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.rank = rank
        self.backend = backend
        self.n_jobs = n_jobs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _rank_dims(self) -> tuple[int, ...]:
        return (whole("rank", self.rank),)


class _WithRanks(FactorizationMachine):
    """The parameters of RaFM."""

    _model = "rafm"

    def __init__(
        self,
        ranks: Sequence[int] = (8, 32),
        *,
        projection: str = "joint",
        backend: str = "numba-parallel",
        n_jobs: int | None = None,
        optimizer: str = "adagrad",
        learning_rate: float = 0.05,
        l2: float = 1e-5,
        batch_size: int = 64,
        max_epochs: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.ranks = ranks
        self.projection = projection
        self.backend = backend
        self.n_jobs = n_jobs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _rank_dims(self) -> tuple[int, ...]:
        try:
            ranks = list(self.ranks)
        except TypeError:
            raise UserError(
                f"`ranks` must hold one or more ranks, got {self.ranks!r}; try (8, 32)"
            ) from None
        return tuple(whole("ranks", rank) for rank in ranks)

    def _projection(self) -> Any:
        return self.projection


@described
class FMClassifier(BinaryClassifier, _WithRank):
    """Factorization machine for two classes."""


@described
class FMRegressor(Regressor, _WithRank):
    """Factorization machine for a number."""


@described
class RaFMClassifier(BinaryClassifier, _WithRanks):
    """Rank-aware factorization machine for two classes."""


@described
class RaFMRegressor(Regressor, _WithRanks):
    """Rank-aware factorization machine for a number."""
