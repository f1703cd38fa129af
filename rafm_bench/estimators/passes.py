"""The training of an estimator: passes over rows in memory, the best one kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_bench.engine import rows_of_chunk
from rafm_bench.errors import RunError
from rafm_bench.estimators.entries import take_rows
from rafm_bench.finite import all_finite
from rafm_kernels import loss_values, state_arrays, state_from_arrays

if TYPE_CHECKING:
    from numpy.random import RandomState

    from rafm_kernels import Backend, Batch, Model, Optimizer, TrainState


class Patience(NamedTuple):
    """Rows kept for validation, and the epochs to wait for a better loss on them."""

    rows: Batch
    epochs: int


@dataclass(slots=True)
class Machine:
    """A model in training.

    Attributes
    ----------
    state : parameters and the numbers of `optimizer`
    losses : mean loss of each pass so far, each row scored before its own step
    valid_losses : loss on the rows kept for validation, after each pass
    """

    model: Model
    state: TrainState
    optimizer: str
    losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)


class Trainer(NamedTuple):
    """What makes steps, and in what portions."""

    backend: Backend
    optimizer: Optimizer
    batch_size: int
    n_threads: int

    def fit(
        self,
        machine: Machine,
        rows: Batch,
        epochs: int,
        random: RandomState,
        patience: Patience | None,
    ) -> None:
        """Make up to `epochs` passes; with patience, leave the best one's state.

        Raises
        ------
        RunError                      when a loss or a parameter stops being finite; the
                                      machine's parameters are spoilt then
        """
        if patience is None:
            for _ in range(epochs):
                self.run_epoch(machine, rows, random)
            return
        least, best, kept = math.inf, 0, machine.state
        for number in range(epochs):
            self.run_epoch(machine, rows, random)
            machine.valid_losses.append(self._validate(machine, patience.rows))
            if machine.valid_losses[-1] < least:
                least, best = machine.valid_losses[-1], number
                kept = self._copy(machine)
            elif number - best >= patience.epochs:
                break
        machine.state = kept

    def run_epoch(self, machine: Machine, rows: Batch, random: RandomState) -> None:
        """Make one pass over the rows in random order; raises as `fit` does."""
        order = random.permutation(rows.n_rows)
        chunk = rows_of_chunk(self.batch_size)
        total = 0.0
        for start in range(0, rows.n_rows, chunk):
            part = take_rows(rows, order[start : start + chunk])
            total += self._train(machine, part)
        if not all_finite(machine.state.parameters):
            step = int(machine.state.step[0])
            raise self._failed(f"a weight is not finite, found after step {step:,}")
        machine.losses.append(float(total) / rows.n_rows)

    def copy(self, machine: Machine) -> Machine:
        """Return a machine that trains on from the same numbers, and shares none."""
        return replace(
            machine,
            state=self._copy(machine),
            losses=list(machine.losses),
            valid_losses=list(machine.valid_losses),
        )

    def _validate(self, machine: Machine, rows: Batch) -> float:
        """Return the mean loss of rows that training does not see."""
        parameters = machine.state.parameters
        z = self.backend.scores(machine.model, parameters, rows, self.n_threads)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(np.mean(loss_values(machine.model.loss, z, rows.labels)))
        if not math.isfinite(loss):
            epoch = len(machine.losses)
            raise self._failed(f"the validation loss is {loss} after pass {epoch}")
        return loss

    def _copy(self, machine: Machine) -> TrainState:
        arrays = state_arrays(machine.state, machine.model)
        return state_from_arrays(arrays, machine.model, self.optimizer)

    def _train(self, machine: Machine, rows: Batch) -> float:
        before = int(machine.state.step[0])
        report = self.backend.train(
            machine.model,
            machine.state,
            self.optimizer,
            rows,
            self.batch_size,
            self.n_threads,
        )
        if report.bad_step >= 0:
            step = before + report.bad_step + 1
            raise self._failed(f"the loss or a weight is not finite at step {step:,}")
        return report.loss_sum

    def _failed(self, what: str) -> RunError:
        optimizer = self.optimizer
        return RunError(
            f"{what} with {optimizer.name} at "
            f"learning_rate={optimizer.learning_rate:g}; scale the columns of X, or "
            "take a smaller learning_rate"
        )
