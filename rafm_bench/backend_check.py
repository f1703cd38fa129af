"""Does each backend work here, and does it compute what the reference computes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

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

REFERENCE = "numpy"
TOLERANCE = 1e-10
N_FEATURES, N_ROWS, N_ACTIVE, BATCH_SIZE = 40, 96, 5, 16


@dataclass(frozen=True, slots=True)
class BackendCheck:
    """A backend, whether it can be imported, and whether it agrees with the reference.

    `difference` is the largest relative one after some training steps in float64.
    """

    name: str
    available: bool
    agrees: bool
    difference: float | None
    seconds: float
    problem: str | None


def usable_cpus() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_backends() -> list[BackendCheck]:
    """Train a small RaFM with each backend and compare the parameters."""
    return [_check(name) for name in backend_names()]


def _check(name: str) -> BackendCheck:
    started = time.perf_counter()
    try:
        difference = _difference(load_backend(name))
    except Exception as error:  # whatever a third party's module raises
        seconds = time.perf_counter() - started
        problem = f"{type(error).__name__}: {error}"
        available = not isinstance(error, ImportError)
        return BackendCheck(name, available, False, None, seconds, problem)
    seconds = time.perf_counter() - started
    return BackendCheck(name, True, difference <= TOLERANCE, difference, seconds, None)


def _difference(backend: Backend) -> float:
    """Compare with the reference, by SGD where a backend has nothing better."""
    optimizer = Optimizer("adagrad", 0.1, 0.05, 1e-3)
    try:
        got = _train(backend, optimizer)
    except NotImplementedError:
        optimizer = replace(optimizer, name="sgd")
        got = _train(backend, optimizer)
    expected = _train(load_backend(REFERENCE), optimizer)
    return float(np.max(np.abs(got - expected) / np.maximum(1e-3, np.abs(expected))))


def _train(backend: Backend, optimizer: Optimizer) -> np.ndarray:
    """Train, and return scores and all parameters as one array."""
    model, batch = _problem()
    state = init_state(model, optimizer, init_parameters(model, 1, "float64"))
    backend.train(model, state, optimizer, batch, BATCH_SIZE)
    scores = backend.scores(model, state.parameters, batch)
    return np.concatenate([scores, *state.parameters])


def _problem() -> tuple[Model, Batch]:
    generator = np.random.default_rng(0)
    ids = np.concatenate(
        [generator.choice(N_FEATURES, N_ACTIVE, replace=False) for _ in range(N_ROWS)]
    )
    labels = generator.integers(0, 2, N_ROWS)
    indptr = np.arange(N_ROWS + 1) * N_ACTIVE
    values = generator.normal(size=ids.size)
    counts = np.arange(N_FEATURES, 0, -1)
    model = make_model("rafm", counts, (2, 8, 32), loss="log")
    return model, make_batch(indptr, ids, labels, values, n_features=N_FEATURES)
