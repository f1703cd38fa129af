"""Go on with a run that was interrupted, killed, or failed for want of disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rafm_bench.checkpoint import read_state
from rafm_bench.config import TrainConfig
from rafm_bench.config_file import read_config_values
from rafm_bench.engine import check_engine
from rafm_bench.errors import UserError
from rafm_bench.execution import STANDARD, Execution
from rafm_bench.job import make_job
from rafm_bench.memory import forget_peak_memory
from rafm_bench.origin import check_config, check_data, check_files, origin_of
from rafm_bench.run import CHECKPOINT, CONFIG, Run, read_run, resume_command
from rafm_bench.run_folder import STATE, RunFolder, hold_run, is_finished
from rafm_bench.states import start_of
from rafm_bench.train import carry_out
from rafm_datasets import locate, open_prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rafm_bench.progress import Reporter


def resume(
    folder: Path,
    data: Path | None,
    report: Reporter,
    execution: Execution = STANDARD,
    flags: Mapping[str, Any] | None = None,
    *,
    tested: bool = True,
) -> Run:
    """Go on with a run at the step where its last checkpoint was written.

    Parameters
    ----------
    folder : the run; one that is finished is read, and nothing is done
    data : where its data is now; None: where it was
    report : told of the progress
    execution : how it is carried out; may be another than before
    flags : options of TrainConfig; `threads` may change, others must be the run's own
    tested : as in `train`

    Returns
    -------
    Run                               its model has the bytes of an unbroken run's

    Raises
    ------
    UserError                         when it is no run, another process trains it, or
                                      it does not fit its data, options or checkpoint
    """
    forget_peak_memory()
    if is_finished(folder):
        return _told_finished(folder, flags or {}, report)
    with hold_run(folder):
        if is_finished(folder):
            return _told_finished(folder, flags or {}, report)
        _, origin, standing = read_state(folder / CHECKPOINT / STATE)
        config = TrainConfig(**read_config_values(folder / CONFIG))
        check_config(origin, config, folder / CONFIG)
        config = _changed(config, flags or {}, folder)
        prepared = open_prepared(data or _recorded(origin.data, folder))
        check_data(origin, prepared, folder)
        job = make_job(config, prepared, report, execution)
        check_engine(job)
        start = start_of(job) if standing.phase == "begun" else origin.start
        now = origin_of(job, config, start)
        check_files(origin, now, folder)
        place = RunFolder(folder, now, worth_keeping=True)
        place.tidy()
        with place.keeping():
            return carry_out(job, place, tested=tested)


def _told_finished(folder: Path, flags: Mapping[str, Any], report: Reporter) -> Run:
    run = read_run(folder)
    _changed(run.config, flags, folder)
    report.say(f"{folder} is finished already; nothing was done")
    return run


def _changed(
    config: TrainConfig, flags: Mapping[str, Any], folder: Path
) -> TrainConfig:
    """Return the config with the flags that may change; refuse others that do."""
    for name, value in flags.items():
        was = getattr(config, name)
        if name != "threads" and value != was:
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{flag} is {value}, and {folder} was begun with {was}; leave it out, "
                "or train another run"
            )
    return replace(config, threads=flags.get("threads", config.threads))


def _recorded(place: str, folder: Path) -> Path:
    found = locate(place)
    if not found.exists():
        raise UserError(
            f"{folder}: its data is no longer at {place}; name it: "
            f"`{resume_command(folder)} DIR`"
        )
    return found
