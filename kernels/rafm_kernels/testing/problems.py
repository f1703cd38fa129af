"""Small seeded problems, and assertions that say what differs."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from rafm_kernels import (
    Batch,
    Model,
    Optimizer,
    Parameters,
    TrainReport,
    TrainState,
    init_parameters,
    init_state,
    make_batch,
    make_model,
    tables,
)
from rafm_kernels.batch import slice_rows as slice_rows
from rafm_kernels.testing import naive

MODELS: dict[str, tuple[Any, tuple[int, ...], Any]] = {
    "lr": ("lr", (), "joint"),
    "fm": ("fm", (5,), "joint"),
    "fm-rank-1": ("fm", (1,), "joint"),
    "rafm-joint": ("rafm", (2, 5), "joint"),
    "rafm-algorithm1": ("rafm", (2, 5), "algorithm1"),
    "rafm-one-level": ("rafm", (3,), "joint"),
    "rafm-4-joint": ("rafm", (1, 3, 8, 41), "joint"),
    "rafm-4-algorithm1": ("rafm", (1, 3, 8, 17), "algorithm1"),
    "rafm-16-levels": ("rafm", tuple(range(1, 17)), "joint"),
    "difacto": ("difacto", (2, 5), "joint"),
    "difacto-one-level": ("difacto", (3,), "joint"),
    "difacto-4": ("difacto", (1, 3, 8, 17), "joint"),
    "mrma": ("mrma", (2, 5), "joint"),
    "mrma-one-level": ("mrma", (3,), "joint"),
    "mrma-4": ("mrma", (1, 3, 8, 32), "joint"),
    "ffm": ("ffm", (4,), "joint"),
    "ffm-rank-1": ("ffm", (1,), "joint"),
    "ffm-rank-13": ("ffm", (13,), "joint"),
    "ffm-one-per-field": ("ffm", (5,), "joint"),
}
# Of these, others have as wide rows, or as many levels, or the same loops.
VARIANTS = {
    "fm-rank-1",
    "rafm-one-level",
    "rafm-4-algorithm1",
    "rafm-16-levels",
    "difacto-one-level",
    "difacto-4",
    "mrma",
    "mrma-one-level",
    "ffm-rank-1",
    "ffm-one-per-field",
}
ONE_PER_FIELD = {"ffm-one-per-field"}
N_FIELDS = 3  # feature i is of field i % 3
LOSSES = ("log", "square")


class Problem(NamedTuple):
    """What a backend's functions take first."""

    model: Model
    parameters: Parameters
    batch: Batch


def counts_for(n_features: int) -> np.ndarray:
    """Zipf-like training counts, never increasing, the last two never seen."""
    counts = np.maximum(400 // (1 + np.arange(n_features)), 1)
    counts[-2:] = 0
    return counts


def random_batch(
    rng: np.random.Generator,
    n_rows: int,
    n_features: int,
    loss: str = "log",
    with_values: bool = True,
    max_entries: int = 9,
    fields: str = "any",
) -> Batch:
    """Rows of 0 to `max_entries` distinct features, common ones more often.

    `fields`: of `any`; `one` feature of each field, in their order; or `two` features,
    of different fields.
    """
    weights = 1 / (1 + np.arange(n_features))

    def draw(size: int, of: Any) -> np.ndarray:
        ids = np.flatnonzero(np.isin(np.arange(n_features) % N_FIELDS, of))
        p = weights[ids] / weights[ids].sum()
        return rng.choice(ids, size, replace=False, p=p)

    if fields == "any":
        sizes = rng.integers(0, min(max_entries, n_features) + 1, n_rows)
        sizes[: min(2, n_rows)] = [0, 1][: min(2, n_rows)]  # an empty row, one feature
        rows = [draw(s, range(N_FIELDS)) for s in sizes]
    elif fields == "one":
        rows = [
            np.concatenate([draw(1, f) for f in range(N_FIELDS)]) for _ in range(n_rows)
        ]
    else:
        both = [rng.permutation(N_FIELDS)[:2] for _ in range(n_rows)]
        rows = [np.concatenate([draw(1, f) for f in two]) for two in both]
    indptr = np.cumsum([0, *map(len, rows)])
    ids = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int32)
    values = rng.normal(1, 0.5, len(ids)).astype(np.float32) if with_values else None
    if loss == "log":
        labels: Any = rng.integers(0, 2, n_rows)
    else:
        labels = rng.normal(3, 1, n_rows)
    return make_batch(
        indptr, ids, labels, values, ids % N_FIELDS, n_features=n_features
    )


@functools.cache
def training_rows(fields: str, loss: str, n_rows: int, n_features: int) -> Batch:
    """Rows of one seeded stream, drawn once for all backends and optimizers."""
    rng = np.random.default_rng(5)
    return random_batch(rng, n_rows, n_features, loss, fields=fields)


def fields_of(batch: Batch) -> str:
    """How the rows of a problem hold fields, see `random_batch`."""
    sizes = set(np.diff(batch.indptr).tolist())
    return {(2,): "two", (N_FIELDS,): "one"}.get(tuple(sizes), "any")


def make_problem(
    key: str,
    loss: Any = "log",
    dtype: Any = "float64",
    seed: int = 0,
    n_rows: int = 24,
    n_features: int = 30,
    with_values: bool = True,
) -> Problem:
    """Draw a model with parameters far from 0 (so that curvature shows) and a batch."""
    name, dims, projection = MODELS[key]
    rng = np.random.default_rng(seed)
    model = make_model(
        name,
        counts_for(n_features),
        dims,
        loss=loss,
        projection=projection,
        n_fields=N_FIELDS if name == "ffm" else None,
    )
    parameters = init_parameters(model, seed, dtype)
    for table in tables(parameters, model.layout):
        table[...] = rng.normal(0, 0.4, table.shape)
    parameters.linear[...] = rng.normal(0, 0.3, n_features)
    parameters.bias[...] = 0.1
    fields = "two" if name == "mrma" else "one" if key in ONE_PER_FIELD else "any"
    batch = random_batch(rng, n_rows, n_features, loss, with_values, fields=fields)
    return Problem(model, parameters, batch)


def trained(
    backend: Any,
    problem: Problem,
    optimizer: Optimizer,
    steps: int = 50,
    batch_size: int = 8,
    n_threads: int = 1,
) -> tuple[TrainState, TrainReport]:
    """State and report after `steps` steps, the last of fewer rows."""
    model = problem.model
    dtype: Any = problem.parameters.linear.dtype.name
    start = init_parameters(model, 3, dtype)
    state = init_state(model, optimizer, start)
    rows = training_rows(
        fields_of(problem.batch),
        model.loss,
        steps * batch_size - min(3, batch_size - 1),
        model.layout.n_features - 2,
    )
    report = backend.train(model, state, optimizer, rows, batch_size, n_threads)
    return state, report


def insert_row(batch: Batch, at: int, ids: Any, values: Any, label: float) -> Batch:
    """Rows with one more at place `at`; feature i is of field i % 3."""
    ids, entry = np.asarray(ids), batch.indptr[at]
    indptr = np.insert(batch.indptr, at, entry)
    x = np.ones(len(batch.ids)) if batch.values is None else batch.values
    indptr[at + 1 :] += len(ids)
    all_ids = np.insert(batch.ids, entry, ids)
    return Batch(
        indptr,
        all_ids,
        np.insert(x, entry, np.asarray(values, np.float32)),
        all_ids % N_FIELDS,
        np.insert(batch.labels, at, np.float32(label)),
    )


def naive_rows(batch: Batch) -> list[list[tuple[int, float, int]]]:
    """Give the batch as the oracle reads it."""
    values = np.ones(len(batch.ids)) if batch.values is None else batch.values
    fields = np.zeros(len(batch.ids)) if batch.fields is None else batch.fields
    return [
        [
            (int(batch.ids[e]), float(values[e]), int(fields[e]))
            for e in range(start, stop)
        ]
        for start, stop in zip(batch.indptr, batch.indptr[1:], strict=False)
    ]


def naive_score(
    problem: Problem, row: list[tuple[int, float, int]], top: int | None = None
) -> float:
    """Score a row by the oracle; by B_1k where `top` is k."""
    model, parameters, _ = problem
    scorers: dict[str, Any] = {
        "difacto": naive.difacto_score,
        "mrma": naive.mrma_score,
        "ffm": functools.partial(naive.ffm_score, n_fields=model.n_fields),
    }
    score = scorers.get(model.name, naive.rafm_score)
    z: float = score(
        row,
        float(parameters.bias[0]),
        parameters.linear.tolist(),
        [t.tolist() for t in tables(parameters, model.layout)],
        model.layout.n_levels if top is None else top,
    )
    return z


def require(held: bool | np.bool_, message: str) -> None:
    """Raise AssertionError with a message unless something holds, under -O as well."""
    if not held:
        raise AssertionError(message)


def assert_close(
    got: Any, expected: Any, tolerance: float, what: str, scale: float | None = None
) -> None:
    """Compare against the largest expected number; say where it is worst."""
    got, expected = np.asarray(got), np.asarray(expected)
    require(got.shape == expected.shape, f"{what}: {got.shape} != {expected.shape}")
    if not got.size:
        return
    message = f"{what}: got {got} with numbers that are not finite"
    require(np.isfinite(got).all(), message)
    scale = max(np.abs(expected).max(), 1e-30) if scale is None else scale
    error = np.abs(got.astype(np.float64) - expected) / scale
    at = np.unravel_index(np.nanargmax(error), error.shape)
    require(
        error[at] <= tolerance,
        f"{what}: got {got[at]!r}, expected {expected[at]!r} at index {at}, "
        f"relative error {error[at]:.2e} > {tolerance:.0e}",
    )


def assert_same_norm(got: Any, expected: Any, tolerance: float, what: str) -> None:
    """Compare as vectors: |got - expected| against |expected|.

    After many float32 steps of AdaGrad single elements differ by more than rounding: an
    element's first step is rate * sign(g), and a g near 0 has few digits that count.
    """
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    require(got.shape == expected.shape, f"{what}: {got.shape} != {expected.shape}")
    norm = float(np.linalg.norm(expected))
    error = float(np.linalg.norm(got - expected)) / max(norm, 1e-30)
    message = f"{what}: relative error {error:.2e} > {tolerance:.0e}"
    require(error <= tolerance, message)


def assert_equal(got: Any, expected: Any, what: str) -> None:
    """Compare numbers, tuples or arrays exactly."""
    require(np.array_equal(got, expected), f"{what}: got {got}, expected {expected}")


def assert_same_bits(got: Parameters, expected: Parameters, what: str) -> None:
    """Compare parameters bit by bit."""
    for name, a, b in zip(Parameters._fields, got, expected, strict=True):
        same = a.tobytes() == b.tobytes()
        worst = 0.0 if same else float(np.abs(a - b).max())
        message = f"{what}: {name} differs by up to {worst:.1e}, expected equal bits"
        require(same, message)
