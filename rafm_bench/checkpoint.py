"""How far training is, and its way to a checkpoint and back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rafm_bench.errors import UserError
from rafm_bench.origin import Origin
from rafm_bench.run import Epoch, epoch_of
from rafm_bench.tensor_file import TensorFile, check_seal, open_tensors, write_tensors
from rafm_kernels import state_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rafm_bench.job import Job
    from rafm_kernels import TrainState

STATE_VERSION = 1
METADATA_KEY = "rafm_bench"

Phase = Literal["begun", "training", "trained"]


@dataclass(slots=True)
class Standing:
    """How far training is: what a checkpoint holds besides arrays.

    Attributes
    ----------
    phase : `begun`: no step is made; `training`; `trained`: no step is left to make
    epoch, at : the running epoch, from 1, and where it goes on; see `Advance`
    passed : whether all rows of the running epoch are done, validation is not
    rows, sums, seconds : of the running epoch so far: rows, sums of the losses (all,
        each B_1k), seconds
    epochs : the epochs that are done
    best, least : the best of them, 0 where there is none yet, and its loss
    best_sha256 : of the file with its parameters
    logged : bytes of the log of progress
    peak_memory : bytes, of the processes before this one
    """

    phase: Phase = "begun"
    epoch: int = 1
    at: int = 0
    passed: bool = False
    rows: int = 0
    sums: list[float] = field(default_factory=list)
    seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    least: float = math.inf
    best_sha256: str = ""
    logged: int = 0
    peak_memory: int = 0


def write_state(
    file: Path, origin: Origin, standing: Standing, arrays: Mapping[str, Any]
) -> None:
    """Write a checkpoint; `arrays` of `state_arrays`, or none where it needs none."""
    about: dict[str, Any] = {
        "format_version": STATE_VERSION,
        "origin": asdict(origin),
        "standing": asdict(standing),
    }
    if not standing.best:
        about["standing"]["least"] = None  # JSON has no infinity
    text = json.dumps(about, allow_nan=False)
    write_tensors(file, arrays, {METADATA_KEY: text}, sealed=True)


def read_state(file: Path) -> tuple[TensorFile, Origin, Standing]:
    """Read a checkpoint but its arrays; UserError where it is not whole, or newer."""
    if not file.is_file():
        raise UserError(
            f"{file}: no such checkpoint; remove {file.parent.parent}, and train the "
            "run again"
        )
    opened = open_tensors(file)
    try:
        about = json.loads(opened.metadata[METADATA_KEY])
        version = about["format_version"]
        if isinstance(version, int) and version > STATE_VERSION:
            raise UserError(
                f"{file}: checkpoint format {version} is newer than {STATE_VERSION}, "
                "the newest this version reads; upgrade rafm-bench"
            )
        check_seal(opened)
        origin, standing = Origin(**about["origin"]), _standing(about["standing"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{file}: not a checkpoint of rafm-bench ({error}); remove "
            f"{file.parent.parent}, and train the run again"
        ) from None
    return opened, origin, standing


def fill_state(state: TrainState, job: Job, opened: TensorFile) -> None:
    """Read the arrays of a checkpoint into a state that is made already.

    Not the optimizer's name: the origin tells it, and older checkpoints lack it.
    """
    unnamed = state._replace(optimizer="")
    for name, target in state_arrays(unnamed, job.model).items():
        opened.read_into(name, target)


def _standing(written: dict[str, Any]) -> Standing:
    standing = Standing(**written)
    standing.epochs = [epoch_of(epoch) for epoch in written["epochs"]]
    if standing.least is None:
        standing.least = math.inf
    return standing
