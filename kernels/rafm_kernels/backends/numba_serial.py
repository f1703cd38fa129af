"""Backend `numba`: compiled, one thread whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_kernels.backends import numba_threads
from rafm_kernels.calls import check_at_least_1

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rafm_kernels.batch import Batch
    from rafm_kernels.contract import Backend, TrainReport
    from rafm_kernels.model import Model
    from rafm_kernels.optimizers import Optimizer
    from rafm_kernels.parameters import Parameters
    from rafm_kernels.state import TrainState


def scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row; as in `Backend`."""
    check_at_least_1("n_threads", n_threads)
    return numba_threads.scores(model, parameters, batch)


def level_scores(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> NDArray[np.float64]:
    """Score each row by every B_1k; as in `Backend`."""
    check_at_least_1("n_threads", n_threads)
    return numba_threads.level_scores(model, parameters, batch)


def gradients(
    model: Model, parameters: Parameters, batch: Batch, n_threads: int = 1
) -> Parameters:
    """Mean gradient over the rows; as in `Backend`."""
    check_at_least_1("n_threads", n_threads)
    return numba_threads.gradients(model, parameters, batch)


def train(
    model: Model,
    state: TrainState,
    optimizer: Optimizer,
    batch: Batch,
    batch_size: int,
    n_threads: int = 1,
) -> TrainReport:
    """Make one step for each `batch_size` rows; as in `Backend`."""
    check_at_least_1("n_threads", n_threads)
    return numba_threads.train(model, state, optimizer, batch, batch_size)


if TYPE_CHECKING:
    from rafm_kernels.backends import numba_serial as _module

    _checked: Backend = _module
