"""The folder of a run under way: begun, locked, opened again, finished or removed."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.checkpoint import Standing, write_state
from rafm_bench.config_file import config_json
from rafm_bench.errors import Diverged, Interrupted, RunError, UserError
from rafm_bench.run import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    MODEL,
    PROGRESS,
    RESULT,
    is_unfinished,
    resume_command,
)
from rafm_bench.run_lock import locked
from rafm_bench.staging import refuse_existing, staged_folder, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_bench.config import TrainConfig
    from rafm_bench.origin import Origin

STATE, LOCK = "state.safetensors", "lock"


@dataclass(slots=True)
class RunFolder:
    """A run's folder, whose lock this process holds.

    Attributes
    ----------
    worth_keeping : whether a checkpoint holds more than a new beginning would
    """

    folder: Path
    origin: Origin
    worth_keeping: bool

    @property
    def state(self) -> Path:
        """The checkpoint."""
        return self.folder / CHECKPOINT / STATE

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Leave of a failure what can be gone on with, say so, and remove the rest."""
        try:
            yield
        except Diverged:
            self.remove()
            raise
        except BaseException as error:
            if not self.worth_keeping:
                self.remove()
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"interrupted; {self._left()}") from None
            if isinstance(error, RunError) and self.worth_keeping:
                raise RunError(f"{error}; {self._left()}") from error
            raise

    def tidy(self) -> None:
        """Remove the files that a process killed here was writing."""
        for folder in (self.folder, self.folder / CHECKPOINT):
            for file in folder.glob(".*.tmp"):
                file.unlink()

    def finish(self) -> None:
        """Remove what only a run under way needs."""
        shutil.rmtree(self.folder / CHECKPOINT, ignore_errors=True)

    def remove(self) -> None:
        """Remove what training wrote, and the folder when nothing else is in it."""
        levels = self.origin.config["levels"]
        for name in (CONFIG, HISTORY, MODEL, PROGRESS, *([levels] if levels else [])):
            (self.folder / name).unlink(missing_ok=True)
        self.finish()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _left(self) -> str:
        if not self.worth_keeping:
            return f"nothing is left of {self.folder}"
        return f"the last checkpoint stays, and `{resume_command(self.folder)}` goes on"


def refuse_taken(out: Path) -> None:
    """Refuse a folder that exists, with a word on how to go on with one begun."""
    if is_unfinished(out):
        raise UserError(
            f"{out}: a run that is not finished; go on with `{resume_command(out)}`, "
            "or remove it first"
        )
    refuse_existing(out)


@contextmanager
def begin_run(out: Path, origin: Origin, config: TrainConfig) -> Iterator[RunFolder]:
    """Make a run's folder, with its first checkpoint, at once; hold its lock.

    Parameters
    ----------
    out : must not exist
    origin : of the run
    config : with the user's own levels file, which the run gets a copy of
    """
    with ExitStack() as held:
        with staged_folder(out) as folder:
            (folder / CHECKPOINT).mkdir()
            held.enter_context(locked(folder / CHECKPOINT / LOCK, out))
            own = portable(config)
            if config.levels is not None and own.levels is not None:
                shutil.copyfile(config.levels, folder / own.levels)
            (folder / CONFIG).write_text(config_json(own), encoding="utf-8")
            write_state(folder / CHECKPOINT / STATE, origin, Standing(), {})
        place = RunFolder(out, origin, worth_keeping=False)
        with place.keeping():
            yield place


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run that was begun."""
    if not (folder / CHECKPOINT).is_dir():
        raise UserError(
            f"{folder}: not a run that can go on (it has no {CHECKPOINT}/); pass the "
            "folder that `rafm-bench train` was writing"
        )
    with ExitStack() as held:
        with writing(folder):
            held.enter_context(locked(folder / CHECKPOINT / LOCK, folder))
        yield


def is_finished(folder: Path) -> bool:
    """Whether a run needs no more training; what a killed process left is removed."""
    finished = (folder / RESULT).is_file()
    if finished:
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return finished


def portable(config: TrainConfig) -> TrainConfig:
    """Return the config as the run has it, whose folder holds the levels file."""
    if config.levels is None:
        return config
    return replace(config, levels="levels" + Path(config.levels).suffix)
