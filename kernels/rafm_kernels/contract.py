"""What a backend offers: four functions over one model, checked by one suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rafm_kernels.batch import Batch
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.parameters import Parameters
    from rafm_kernels.state import TrainState


class TrainReport(NamedTuple):
    """What a call of `train` did.

    Attributes
    ----------
    n_steps : steps made, all of them or those before `bad_step`
    loss_sum : sum over rows of the loss, each row scored before its own step
    level_loss_sums : float64[n_levels]   the same of every B_1k
    bad_step : step of this call, from 0, that ended training, or -1: its loss was not
        finite and nothing of it was applied; or what it made of a parameter that its
        rows touch was not, and the parameters are spoilt. Ours end it as well where the
        square of an embedding's gradient is too large for the parameters' type
    """

    n_steps: int
    loss_sum: float
    level_loss_sums: NDArray[np.float64]
    bad_step: int


class Backend(Protocol):
    """A module with these functions; ids of every batch are those of the layout.

    `n_threads` bounds the threads used; the result has the same bits for any number.

    Each function refuses, by ValueError and before it changes anything, what
    `check_call` does, and `train` what `check_train_call` does: call these. A model,
    optimizer or other setting that a backend does not compute is a NotImplementedError
    whose sentence names it. An id stands at most once in a row, which is not checked in
    every call: `make_batch` and `merge_duplicates` see to it.
    """

    def scores(
        self, model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
    ) -> NDArray[np.float64]:
        """Score each row: z_m, float64[n_rows], a margin for log loss."""

    def level_scores(
        self, model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
    ) -> NDArray[np.float64]:
        """Score each row by every B_1k: z_k, float64[n_levels, n_rows]."""

    def gradients(
        self, model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
    ) -> Parameters:
        """Mean gradient over the rows, without L2, dense: for checks only.

        All of it is NaN where the loss of a row is not finite.
        """

    def train(
        self,
        model: Model,
        state: TrainState,
        optimizer: Optimizer,
        batch: Batch,
        batch_size: int,
        n_threads: int = 1,
    ) -> TrainReport:
        """Make one step for each `batch_size` consecutive rows, changing `state`.

        Parameters are frozen within a step; the last step takes the rows that are left.
        """
