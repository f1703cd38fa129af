"""Train a model on prepared data and write the run: whole, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.cost import predict_cost
from rafm_bench.errors import leaving
from rafm_bench.execution import STANDARD, Execution
from rafm_bench.fit import fit, scorer, warm_up
from rafm_bench.job import Job, make_job
from rafm_bench.memory import forget_peak_memory, peak_memory_bytes
from rafm_bench.metrics import Metrics, notes_on
from rafm_bench.model_file import SavedModel, save_model
from rafm_bench.run import MODEL, Run, RunResult, read_run, write_run
from rafm_bench.scoring import measure_split
from rafm_bench.staging import refuse_existing, staged_folder
from rafm_bench.versions import versions
from rafm_kernels import count_nonzero

if TYPE_CHECKING:
    from rafm_bench.config import TrainConfig
    from rafm_bench.fit import Fitted
    from rafm_bench.progress import Reporter
    from rafm_datasets import PreparedData


def train(
    config: TrainConfig,
    data: PreparedData,
    out: Path,
    report: Reporter,
    execution: Execution = STANDARD,
) -> Run:
    """Train, keep the best epoch by validation loss, score the test split once.

    Parameters
    ----------
    config : what to train, and how
    data : prepared data with rows in train and valid
    out : folder to write; must not exist, and appears only when all is done
    report : told of the progress
    execution : how it is carried out, which changes no result

    Returns
    -------
    Run                               as read back from `out`

    Raises
    ------
    UserError                         when `out` exists, or config and data do not fit
    RunError                          when the loss stops being finite
    Interrupted                       on Ctrl-C; nothing is left behind
    """
    refuse_existing(out)
    forget_peak_memory()
    job = make_job(config, data, report, execution)
    nothing = f"nothing is left of {out}, which appears when training ends"
    with leaving(nothing), staged_folder(out) as folder:
        compile_seconds = warm_up(job)
        fitted = fit(job)
        best = SavedModel(job.model, fitted.parameters, data.fingerprint)
        save_model(folder / MODEL, best)
        result = _result(job, fitted, compile_seconds)
        write_run(folder, _portable(job.config, folder), result)
    return read_run(out)


def _result(job: Job, fitted: Fitted, compile_seconds: float) -> RunResult:
    config, data, layout = job.config, job.data, job.model.layout
    valid = fitted.epochs[fitted.best_epoch - 1].valid
    test, notes = _test(job, fitted)
    return RunResult(
        model=config.model,
        ranks=config.ranks,
        loss=job.model.loss,
        backend=config.backend,
        threads=config.threads,
        seed=config.seed,
        data=str(data.folder.resolve()),
        data_fingerprint=data.fingerprint,
        n_features=data.n_features,
        features_at_rank=layout.features_at_rank,
        n_parameters=layout.n_parameters,
        n_nonzero=count_nonzero(fitted.parameters),
        n_rows_per_epoch=data.rows("train"),
        predicted_cost=predict_cost(layout, job.counts, data.rows("train")),
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        valid=valid,
        test=test,
        notes=(*notes_on(valid, "valid"), *notes),
        compile_seconds=compile_seconds,
        peak_memory_bytes=peak_memory_bytes(),
        versions=versions(),
    )


def _test(job: Job, fitted: Fitted) -> tuple[Metrics | None, list[str]]:
    """Score the test split with the best epoch's parameters; None where it is empty."""
    if "test" not in job.data.splits:
        return None, ["the data holds no test rows: nothing was tested"]
    best = scorer(job, fitted.parameters)
    test = measure_split(best, job.data, "test", job.report, "test")
    return test, notes_on(test, "test")


def _portable(config: TrainConfig, folder: Path) -> TrainConfig:
    """Copy the levels file into the run, so that its config.json stands by itself."""
    if config.levels is None:
        return config
    name = "levels" + Path(config.levels).suffix
    shutil.copyfile(config.levels, folder / name)
    return replace(config, levels=name)
