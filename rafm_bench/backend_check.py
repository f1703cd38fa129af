"""Does each backend work here, and does it compute what the reference computes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rafm_kernels import (
    Backend,
    Batch,
    Model,
    Optimizer,
    backend_names,
    init_parameters,
    init_state,
    load_backend,
    make_batch,
    make_model,
)

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter
    from rafm_kernels import ModelName, OptimizerName

REFERENCE = "numpy"
TOLERANCE = 1e-10
N_FEATURES, N_ROWS, N_ACTIVE, BATCH_SIZE = 40, 96, 5, 16
RANKS: dict[ModelName, tuple[int, ...]] = {
    "rafm": (2, 8, 32),
    "fm": (8,),
    "lr": (),
    "difacto": (2, 8, 32),
    "mrma": (2, 8),
    "ffm": (4,),
}
TRIED = tuple(RANKS)
"""The models in the order in which a backend is tried: the one that says most first."""
OPTIMIZERS: tuple[OptimizerName, ...] = ("adagrad", "sgd")


@dataclass(frozen=True, slots=True)
class BackendCheck:
    """A backend, whether it can be imported, and whether it agrees with the reference.

    `difference` is the largest relative one after some training steps in float64, in
    any of the `models` that were checked. `refused` are the models and optimizers that
    were tried and that the backend does not claim to compute.
    """

    name: str
    available: bool
    agrees: bool
    difference: float | None
    seconds: float
    problem: str | None
    models: tuple[str, ...]
    refused: tuple[str, ...]


def usable_cpus() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_backends(report: Reporter, *, all_models: bool = False) -> list[BackendCheck]:
    """Train small models with each backend and compare scores and parameters.

    Parameters
    ----------
    report : told which model of which backend is checked
    all_models : whether all are, or the first only that the backend computes, in the
        order of `TRIED`
    """
    return [_check(name, report, all_models) for name in backend_names()]


def _check(name: str, report: Reporter, all_models: bool) -> BackendCheck:
    started = time.perf_counter()
    differences: dict[str, float] = {}
    refused: list[str] = []
    available, problem = True, None
    try:
        backend = load_backend(name)
        for done, model in enumerate(TRIED):
            report(f"checking {name}", done, len(TRIED), "models", model)
            difference = _difference(backend, model, refused)
            if difference is not None:
                differences[model] = difference
                if not all_models:
                    break
    except Exception as error:  # whatever a third party's module raises
        problem = f"{type(error).__name__}: {error}"
        available = not isinstance(error, ImportError)
    if problem is None and not differences:
        problem = f"computes none of {', '.join(TRIED)}"
    if problem is None and not np.isfinite(list(differences.values())).all():
        problem = "computes numbers that are not finite"
    largest = None if problem else max(differences.values())
    return BackendCheck(
        name=name,
        available=available,
        agrees=largest is not None and largest <= TOLERANCE,
        difference=largest,
        seconds=time.perf_counter() - started,
        problem=problem,
        models=tuple(differences),
        refused=tuple(dict.fromkeys(refused)),
    )


def _difference(backend: Backend, model: ModelName, refused: list[str]) -> float | None:
    """Compare with the reference; None where the backend does not compute the model.

    It is trained by SGD where the backend has nothing better. What it refuses is added.
    """
    for name in OPTIMIZERS:
        optimizer = Optimizer(name, 0.1, 0.05, 1e-3)
        try:
            got = _train(backend, model, optimizer)
        except NotImplementedError:
            continue
        refused += OPTIMIZERS[: OPTIMIZERS.index(name)]
        expected = _train(load_backend(REFERENCE), model, optimizer)
        scale = np.maximum(1e-3, np.abs(expected))
        return float(np.max(np.abs(got - expected) / scale))
    refused.append(model)
    return None


def _train(backend: Backend, name: ModelName, optimizer: Optimizer) -> np.ndarray:
    """Train, and return scores, those of every level and parameters as one array."""
    model, batch = _problem(name)
    state = init_state(model, optimizer, init_parameters(model, 1, "float64"))
    backend.train(model, state, optimizer, batch, BATCH_SIZE)
    scores = backend.scores(model, state.parameters, batch)
    levels = backend.level_scores(model, state.parameters, batch)
    return np.concatenate([scores, np.ravel(levels), *state.parameters])


def _problem(name: ModelName) -> tuple[Model, Batch]:
    """Make random rows; feature i is of field i % 2."""
    generator = np.random.default_rng(0)
    if name == "mrma":  # which takes two features of two fields
        ids = 2 * generator.integers(0, N_FEATURES // 2, (N_ROWS, 2)) + [0, 1]
    else:
        ids = generator.permuted(np.tile(np.arange(N_FEATURES), (N_ROWS, 1)), axis=1)
        ids = ids[:, :N_ACTIVE]
    labels = generator.integers(0, 2, N_ROWS)
    indptr = np.arange(N_ROWS + 1) * ids.shape[1]
    values = generator.normal(size=ids.size)
    model = make_model(
        name, np.arange(N_FEATURES, 0, -1), RANKS[name], loss="log", n_fields=2
    )
    flat = ids.ravel()
    return model, make_batch(
        indptr, flat, labels, values, flat % 2, n_features=N_FEATURES
    )
