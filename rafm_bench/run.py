"""A finished training run on disk: its model, config, history and result."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.config_file import config_json, read_config_values
from rafm_bench.cost import Cost
from rafm_bench.errors import UserError
from rafm_bench.staging import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.metrics import Metrics

RESULT_VERSION = 1
MODEL, CONFIG, HISTORY, RESULT = (
    "model.safetensors",
    "config.json",
    "history.csv",
    "result.json",
)
PROGRESS, CHECKPOINT = "progress.csv", "checkpoint"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows, and the validation after it.

    Attributes
    ----------
    train_loss : mean loss of the rows, each scored before its own step
    level_losses : the same of every B_1k, k = 1..m
    seconds, rows_per_second : of the pass alone, without validation
    """

    epoch: int
    train_loss: float
    level_losses: tuple[float, ...]
    valid: Metrics
    seconds: float
    rows_per_second: float
    valid_seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """What shards exchanged in the rounds since a run was begun, or last resumed.

    Attributes
    ----------
    shards, round_rows : as in the config
    rounds : how many there were; the log of progress has a line for each
    bytes_up, bytes_down : of a round, the mean: what its shards give, and what all of
        them together are given, were each on a worker of its own
    workers : addresses of those that trained; none where this process did
    n_redone : parts that were given to another worker, as one was lost or silent
    """

    shards: int
    round_rows: int
    rounds: int
    bytes_up: int
    bytes_down: int
    workers: tuple[str, ...]
    n_redone: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What result.json holds; `test` is measured once, at the best epoch.

    `n_nonzero` of the `n_parameters` numbers are not exactly 0.
    `init_sha256` is of the model file in the run that training started from.
    A model that was imported has no epochs: `epochs` is empty and `best_epoch` 0.
    """

    model: str
    ranks: tuple[int, ...]
    loss: str
    backend: str
    threads: int
    seed: int
    data: str
    data_fingerprint: str
    n_features: int
    features_at_rank: tuple[int, ...]
    n_parameters: int
    n_nonzero: int
    n_rows_per_epoch: int
    predicted_cost: Cost
    epochs: tuple[Epoch, ...]
    best_epoch: int
    valid: Metrics
    test: Metrics | None
    notes: tuple[str, ...]
    compile_seconds: float
    peak_memory_bytes: int
    versions: dict[str, str]
    init_from: str | None = None
    init_sha256: str = ""
    exchange: Exchange | None = None
    result_version: int = RESULT_VERSION

    @property
    def seconds_per_epoch(self) -> float:
        """Median seconds of a training pass."""
        ordered = sorted(epoch.seconds for epoch in self.epochs)
        return ordered[len(ordered) // 2]


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder that was read."""

    folder: Path
    config: TrainConfig
    result: RunResult


def write_run(folder: Path, config: TrainConfig, result: RunResult) -> None:
    """Write config, history and result of a run into its folder."""
    (folder / CONFIG).write_text(config_json(config), encoding="utf-8")
    write_result(folder, result)


def write_result(folder: Path, result: RunResult) -> None:
    """Write history and then result of a run, each whole: with it the run is finished.

    Raises
    ------
    RunError                          when the disk does not take them
    """
    if result.epochs:
        rows = [_history_row(epoch) for epoch in result.epochs]
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(folder / HISTORY, text.getvalue())
    write_text(
        folder / RESULT, json.dumps(asdict(result), indent=2, allow_nan=False) + "\n"
    )


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is a run whose training was begun and has not ended."""
    return (folder / CHECKPOINT).is_dir() and not (folder / RESULT).is_file()


def resume_command(folder: Path) -> str:
    """Return the command that goes on with a run."""
    return shlex.join(["rafm-bench", "train", "--resume", str(folder)])


def read_run(folder: Path) -> Run:
    """Read a finished run; UserError when the folder is not one."""
    file = folder / RESULT
    if is_unfinished(folder):
        raise UserError(
            f"{folder}: not a finished run; finish it by `{resume_command(folder)}`"
        )
    if not file.is_file():
        raise UserError(
            f"{folder}: not a finished run (it has no {RESULT}); pass the folder that "
            "`rafm-bench train` wrote by --out"
        )
    result = _read_result(file)
    config = TrainConfig(**read_config_values(folder / CONFIG))
    return Run(folder, config, result)


def _read_result(file: Path) -> RunResult:
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        if written["result_version"] > RESULT_VERSION:
            raise UserError(
                f"{file}: result version {written['result_version']} is newer than "
                f"{RESULT_VERSION}, the newest this version reads; upgrade rafm-bench"
            )
        shared = written.get("exchange")
        nested = {
            "epochs": [epoch_of(epoch) for epoch in written["epochs"]],
            "predicted_cost": _read(Cost, written["predicted_cost"]),
            "exchange": _read(Exchange, shared) if shared else None,
        }
        result: RunResult = _read(RunResult, written | nested)
    except (json.JSONDecodeError, KeyError, TypeError):
        raise UserError(f"{file}: damaged; train the run again") from None
    return result


def epoch_of(written: dict[str, Any]) -> Epoch:
    """Return an epoch from what JSON made of it."""
    epoch: Epoch = _read(Epoch, written)
    return epoch


def _read(noun: Any, written: dict[str, Any]) -> Any:
    return noun(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in written.items()}
    )


def _history_row(epoch: Epoch) -> dict[str, Any]:
    levels = {
        f"level_{k}_loss": loss for k, loss in enumerate(epoch.level_losses, start=1)
    }
    return {
        "epoch": epoch.epoch,
        "train_loss": epoch.train_loss,
        **levels,
        **{f"valid_{name}": value for name, value in epoch.valid.items()},
        "seconds": epoch.seconds,
        "rows_per_second": epoch.rows_per_second,
    }
