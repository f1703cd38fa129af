"""A run under way: its state, how far it is, and when its checkpoints are written."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.best import Best
from rafm_bench.checkpoint import fill_state, read_state, write_state
from rafm_bench.errors import Interrupted
from rafm_bench.memory import peak_memory_bytes
from rafm_bench.progress_log import ProgressLog
from rafm_bench.run import MODEL, Epoch, resume_command
from rafm_bench.staging import filling, staged_file, sync
from rafm_bench.states import empty_parameters, empty_state, first_state
from rafm_bench.stopping import Stop, Stoppable
from rafm_kernels import state_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.engine import Advance
    from rafm_bench.job import Job
    from rafm_bench.run_folder import RunFolder
    from rafm_bench.tensor_file import TensorFile
    from rafm_kernels import Parameters, TrainState

_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Due:
    """Tells when a checkpoint is due: after a time, or a number of steps."""

    def __init__(self, every: str, step: int) -> None:
        """Take the option of `Execution`, and the number of the last step."""
        self.steps = int(every.removesuffix("steps")) if every[-5:] == "steps" else 0
        self.seconds = 0 if self.steps else int(every[:-1]) * _SECONDS[every[-1]]
        self.begin(step)

    def begin(self, step: int) -> None:
        """Count from this moment and step."""
        self.moment, self.step = time.monotonic(), step

    def is_now(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        if self.steps:
            return step - self.step >= self.steps
        return time.monotonic() - self.moment >= self.seconds


class Course:
    """Training under way, from the checkpoint of its folder on.

    Attributes
    ----------
    job : what training works with
    watched : the same; whatever reports to it stops when it is wished
    standing, state : how far it is; no state when no step is left to make
    """

    def __init__(self, job: Job, place: RunFolder, stop: Stop) -> None:
        """Go on from the checkpoint in the folder."""
        self.job, self.place, self.stop = job, place, stop
        self.watched = replace(job, report=Stoppable(job.report, stop))
        opened, _, self.standing = read_state(place.state)
        self.best = Best(job, place.state.parent)
        if self.standing.best:
            self.best.resume(self._best_file(), self.standing)
        self.state = self._first_state(opened)
        self.due = Due(job.execution.checkpoint_every, self.n_steps)
        self.log = ProgressLog(place.folder, self.standing)

    def __enter__(self) -> Course:
        """Give the course; its log is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log."""
        self.log.close()

    @property
    def n_steps(self) -> int:
        """Steps made so far."""
        return 0 if self.state is None else int(self.state.step[0])

    def advance(self, part: Advance, seconds: float) -> None:
        """Count a part of an epoch that took `seconds`."""
        standing = self.standing
        sums = np.array([part.loss_sum, *part.level_loss_sums])
        if standing.rows:
            sums += standing.sums
        standing.sums = sums.tolist()
        standing.phase, standing.at = "training", part.at
        standing.rows += part.rows
        standing.seconds += seconds
        self.log.line(standing, part)

    def pause(self) -> None:
        """Stop when it is wished; write a checkpoint when one is due."""
        self.stop.check()
        if self.due.is_now(self.n_steps):
            self.save()

    def end_epoch(self, epoch: Epoch, better: float | None) -> None:
        """Count an epoch; `better` is its loss when it is the best so far."""
        standing = self.standing
        self.log.end_epoch(standing)
        standing.epochs.append(epoch)
        if better is not None:
            assert self.state is not None
            standing.best, standing.least = standing.epoch, better
            self.best.take(self.state.parameters, standing)
        standing.epoch += 1
        standing.at, standing.passed = 0, False
        standing.rows, standing.sums, standing.seconds = 0, [], 0.0

    def save(self) -> None:
        """Write a checkpoint: the best model first, then the state that names it."""
        standing = self.standing
        arrays = {}
        if standing.phase == "training":
            assert self.state is not None
            arrays = state_arrays(self.state, self.job.model)
        self.best.settle(standing)
        standing.logged = self.log.sync()
        standing.peak_memory = self.peak_memory()
        with staged_file(self.place.state) as temporary:
            write_state(temporary, self.place.origin, standing, arrays)
        self.place.worth_keeping = True
        self.best.prune(standing)
        self.due.begin(self.n_steps)

    def interrupted(self) -> Interrupted:
        """Write a checkpoint where one is missing; return what to say of it."""
        if self.standing.phase == "training":
            self.save()
        text = f"interrupted; go on with `{resume_command(self.place.folder)}`"
        return Interrupted(text, self.stop.number)

    def end(self) -> Parameters:
        """Note that all steps are made; return the parameters of the best epoch.

        They may take the place of the state's, which no step needs any more.
        """
        if self.standing.phase != "trained":
            self.standing.phase = "trained"
            self.save()
        target = self.state.parameters if self.state else empty_parameters(self.job)
        return self.best.load(target, self._best_file())

    def publish(self) -> None:
        """Give the run its model: the file of the best epoch, by its final name."""
        model, best = self.place.folder / MODEL, self._best_file()
        if best != model:
            with filling(model):
                best.replace(model)
                sync(model.parent)

    def peak_memory(self) -> int:
        """Return the peak memory of all processes that trained the run."""
        return max(self.standing.peak_memory, peak_memory_bytes())

    def _best_file(self) -> Path:
        """Return the file of the best epoch, which may have its final name already."""
        file, model = self.best.file(self.standing.best), self.place.folder / MODEL
        return model if model.is_file() and not file.is_file() else file

    def _first_state(self, opened: TensorFile) -> TrainState | None:
        """Return the state of the checkpoint; None when no step is left to make."""
        match self.standing.phase:
            case "begun":
                return first_state(self.job)
            case "training":
                state = empty_state(self.job)
                fill_state(state, self.job, opened)
                return state
            case "trained":
                return None
