"""Table 1: what RaFM costs where ranks and sets of features fall slowly or fast."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_bench.staging import write_text
from rafm_bench.versions import versions
from rafm_kernels import (
    Batch,
    Model,
    Optimizer,
    RankLayout,
    init_parameters,
    init_state,
    load_backend,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_bench.progress import Reporter

RANK, N_FEATURES, ROW_LENGTH, N_ROWS = 512, 8_192, 64, 512
LEVELS = (1, 2, 4, 8)
TURNS = 5
RANKS: dict[str, Callable[[int, int], int]] = {
    "linear": lambda k, m: RANK * k // m,
    "exponential": lambda k, m: RANK >> (m - k),
}
SETS: dict[str, Callable[[int, int], int]] = {
    "linear": lambda k, m: N_FEATURES * (m - k + 1) // m,
    "exponential": lambda k, m: N_FEATURES >> (k - 1),
}
BOUNDS = {
    ("linear", "linear"): "O(m D |F|)",
    ("linear", "exponential"): "O(D |F|)",
    ("exponential", "linear"): "O(D |F|)",
    ("exponential", "exponential"): "O(m / 2^(m-1) D |F|)",
}
"""The paper's bounds, by how D_k rises and |F_k| falls."""
LIMITS: dict[str, Callable[[int], float]] = {
    "O(m D |F|)": lambda m: m,
    "O(D |F|)": lambda m: 1,
    "O(m / 2^(m-1) D |F|)": lambda m: m / 2 ** (m - 1),
}
"""The bounds in D |F|, each with the constant 1 that it has at m = 1."""


def shape(ranks: str, sets: str, m: int) -> tuple[list[int], list[int]]:
    """Return D_1..D_m and |F_1|..|F_m| of a regime."""
    levels = range(1, m + 1)
    return [RANKS[ranks](k, m) for k in levels], [SETS[sets](k, m) for k in levels]


def cost(ranks: str, sets: str, m: int) -> float:
    """Return sum_k D_k |F_k| / (D |F|), which is 1 for m = 1."""
    dims, sizes = shape(ranks, sets, m)
    return sum(map(int.__mul__, dims, sizes)) / (RANK * N_FEATURES)


def measure_regimes(file: Path, report: Reporter) -> list[dict[str, Any]]:
    """Time training and scoring in each regime, or read what was timed before.

    Regimes and numbers of levels take turns; a figure is the least of its turns, in
    seconds of this process alone, as other processes would change single ratios. What
    another commit or processor has timed is timed anew.
    """
    facts = measured_by()
    if file.is_file():
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        if all(facts.items() <= one.items() for one in found):
            return found
        report.say("table 1: timed by another commit or processor before; anew")
    rows = _even_rows()
    cases = [(*regime, m) for regime in BOUNDS for m in LEVELS]
    seconds: dict[Any, list[tuple[float, float]]] = {case: [] for case in cases}
    for turn in range(TURNS):
        for number, case in enumerate(cases):
            report("table 1", turn * len(cases) + number, TURNS * len(cases), "cases")
            seconds[case].append(_time(rows, *case))
    found = [
        {
            "ranks": case[0],
            "sets": case[1],
            "m": case[2],
            "theory": cost(*case),
            "train": min(one for one, _ in seconds[case]),
            "score": min(one for _, one in seconds[case]),
            **facts,
        }
        for case in cases
    ]
    write_text(file, json.dumps(found, indent=1) + "\n")
    return found


def measured_by() -> dict[str, str | None]:
    """Return what times are only comparable under: version, commit, processor."""
    facts = versions()
    return {name: facts.get(name) for name in ("rafm-bench", "commit", "processor")}


def _even_rows() -> Batch:
    """Draw rows whose ids are even over all features, so that n(F_k) follows |F_k|."""
    generator = np.random.default_rng(0)
    ids = [
        generator.choice(N_FEATURES, ROW_LENGTH, replace=False) for _ in range(N_ROWS)
    ]
    return Batch(
        np.arange(N_ROWS + 1) * ROW_LENGTH,
        np.sort(ids, axis=1).astype(np.int32).ravel(),
        None,
        None,
        generator.integers(0, 2, N_ROWS).astype(np.float32),
    )


def _time(rows: Batch, ranks: str, sets: str, m: int) -> tuple[float, float]:
    dims, sizes = shape(ranks, sets, m)
    layout = RankLayout(tuple(dims), tuple(sizes), N_FEATURES, N_FEATURES)
    model = Model("rafm" if m > 1 else "fm", layout, "log")
    optimizer = Optimizer("adagrad", 0.05)
    backend = load_backend("numba")
    state = init_state(model, optimizer, init_parameters(model, 0))
    few = rows._replace(
        indptr=rows.indptr[:3],
        ids=rows.ids[: 2 * ROW_LENGTH],
        labels=rows.labels[:2],
    )
    backend.train(model, state, optimizer, few, 2)
    backend.scores(model, state.parameters, few)
    started = time.process_time()
    backend.train(model, state, optimizer, rows, 256)
    trained = time.process_time()
    backend.scores(model, state.parameters, rows)
    return trained - started, time.process_time() - trained
