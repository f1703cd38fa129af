"""BASE against HEAD: their processes take turns, sample by sample, pair by pair."""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rafm_bench.bench.environments import (
    Environment,
    build,
    commit_of,
    is_dirty,
    repository,
)
from rafm_bench.bench.processes import BenchmarkError, Process, measuring
from rafm_bench.bench.verdicts import Ratio, judge
from rafm_bench.errors import UserError
from rafm_bench.versions import LIBRARIES, versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rafm_bench.progress import Reporter

# Of one benchmark, commit and pair, but for at least `samples` of them. Processes
# differ more than the samples of one do (where memory lies, what caches hold), so that
# many pairs of few samples tell more in the same time than the other way round.
SECONDS_OF_SAMPLES = 0.1
MOST_SAMPLES = 25
LEAST_PAIRS = 3
PAIRS_FOR_A_PEAK = 0.25  # of all: a peak or a tracked number hardly varies


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare, and how long."""

    base: str
    head: str
    suite: str
    pairs: int = 16
    samples: int = 3
    threshold: float = 1.1
    allow_dirty: bool = False


class Benchmark(NamedTuple):
    """A benchmark with one choice of parameters."""

    name: str
    label: str
    params: tuple[str, ...]
    kind: str
    cache: str | None


class Compared(NamedTuple):
    """A benchmark and its ratio, or why it has none."""

    benchmark: Benchmark
    ratio: Ratio | None
    error: str


def compare_commits(plan: Plan, report: Reporter) -> dict[str, Any]:
    """Build both commits, measure them in turns, judge every benchmark.

    Returns
    -------
    dict                              base and head (commit and versions), cores and
                                      versions here, threshold, and `benchmarks`: name,
                                      params, kind and either base, head, ratio, low,
                                      high, verdict or error

    Raises
    ------
    UserError                         no such commit, a dirty tree, no such benchmark
    RunError                          a commit that cannot be built
    """
    root = repository()
    if is_dirty(root) and not plan.allow_dirty:
        raise UserError(
            f"{root}: has changes that no commit holds, and they would not be "
            "measured; commit them, or add --allow-dirty to leave them out"
        )
    base, head = (
        build(root, name, commit_of(root, name), report)
        for name in (plan.base, plan.head)
    )
    compared = _measure(plan, base, head, report)
    return {
        "base": _about(base, head),
        "head": _about(head, head),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions(),
        "pairs": plan.pairs,
        "threshold": plan.threshold,
        "benchmarks": [_as_dict(one) for one in compared],
    }


def _about(environment: Environment, head: Environment) -> dict[str, Any]:
    with measuring(environment, head.source / "benchmarks") as process:
        found = process.ask("versions", LIBRARIES)
    commit = environment.commit
    return {"name": environment.name, "commit": commit, "versions": found}


def _measure(
    plan: Plan, base: Environment, head: Environment, report: Reporter
) -> list[Compared]:
    suite = head.source / "benchmarks"
    chosen = _chosen(plan, head, suite)
    errors: dict[str, str] = {}
    _prepare((base, head), suite, chosen, errors, report)
    samples: dict[str, list[tuple[list[float], list[float]]]] = {}
    for pair in range(plan.pairs):
        _run_pair(plan, (base, head), suite, chosen, samples, errors, pair, report)
    judged = [one for one in chosen if one.name not in errors and samples.get(one.name)]
    found = []
    for one in chosen:
        if one in judged:
            ratio = judge(samples[one.name], len(judged), plan.threshold)
            found.append(Compared(one, ratio, ""))
        elif one.name in errors:
            found.append(Compared(one, None, errors[one.name]))
    return found


def _chosen(plan: Plan, head: Environment, suite: Path) -> list[Benchmark]:
    with measuring(head, suite) as process:
        listed = process.ask("list")
    every = [
        Benchmark(b["name"], b["label"], tuple(b["params"]), b["kind"], b["cache"])
        for b in listed
    ]
    try:
        pattern = re.compile(plan.suite)
    except re.error as error:
        raise UserError(
            f"--suite {plan.suite!r} is not a regular expression: {error}; write one "
            "such as 'models|regimes'"
        ) from None
    chosen = [
        one for one in every if pattern.search(f"{one.label} {' '.join(one.params)}")
    ]
    if not chosen:
        suites = sorted({one.label.split(".")[0] for one in every})
        raise UserError(
            f"--suite {plan.suite!r} matches no benchmark of {plan.head}; its suites "
            f"are {', '.join(suites)}"
        )
    return chosen


def _prepare(
    environments: Sequence[Environment],
    suite: Path,
    chosen: Sequence[Benchmark],
    errors: dict[str, str],
    report: Reporter,
) -> None:
    """Build what suites keep, and run each benchmark once: compiled code is kept."""
    for environment in environments:
        with measuring(environment, suite) as process:
            for done, one in enumerate(chosen):
                report(
                    f"warming {environment.name} up", done, len(chosen), "benchmarks"
                )
                if one.name in errors:
                    continue
                try:
                    process.ask("cache", one.name)
                    if process.ask("open", one.name):
                        process.ask("sample")
                        process.ask("close")
                    else:
                        errors[one.name] = "skipped"
                except BenchmarkError as error:
                    errors[one.name] = f"fails at {environment.name}: {error}"


def _run_pair(
    plan: Plan,
    environments: tuple[Environment, Environment],
    suite: Path,
    chosen: Sequence[Benchmark],
    samples: dict[str, list[tuple[list[float], list[float]]]],
    errors: dict[str, str],
    pair: int,
    report: Reporter,
) -> None:
    """Measure all benchmarks by one pair of fresh processes (a peak needs its own)."""
    stage = f"pair {pair + 1}/{plan.pairs}"
    with ExitStack() as stack:
        both = [stack.enter_context(measuring(one, suite)) for one in environments]
        for done, one in enumerate(chosen):
            report(stage, done, len(chosen), "benchmarks")
            if one.name in errors or pair >= _n_pairs(plan, one):
                continue
            try:
                if one.kind == "peakmemory":
                    found = _peaks(environments, suite, one)
                else:
                    found = _turns(plan, both, one, pair)
            except BenchmarkError as error:
                errors[one.name] = f"fails: {error}"
                continue
            if min(map(min, found)) > 0:
                samples.setdefault(one.name, []).append(found)
            else:
                errors[one.name] = "a value is not above 0: it has no ratio"


def _n_pairs(plan: Plan, one: Benchmark) -> int:
    if one.kind == "time":
        return plan.pairs
    return max(LEAST_PAIRS, math.ceil(plan.pairs * PAIRS_FOR_A_PEAK))


def _turns(
    plan: Plan, both: Sequence[Process], one: Benchmark, pair: int
) -> tuple[list[float], list[float]]:
    """Let both take samples in turns; who begins changes from turn to turn."""
    found: tuple[list[float], list[float]] = ([], [])
    for process in both:
        process.ask("open", one.name)
        if one.kind == "time":
            process.ask("sample")  # the first one pays for pages and caches
    least = plan.samples if one.kind == "time" else 1
    started = time.monotonic()
    while len(found[0]) < least or (
        one.kind == "time"
        and len(found[0]) < MOST_SAMPLES
        and time.monotonic() - started < 2 * SECONDS_OF_SAMPLES
    ):
        order = (0, 1) if (pair + len(found[0])) % 2 == 0 else (1, 0)
        for i in order:
            found[i].append(both[i].ask("sample"))
    for process in both:
        process.ask("close")
    return found


def _peaks(
    environments: Sequence[Environment], suite: Path, one: Benchmark
) -> tuple[list[float], list[float]]:
    found = []
    for environment in environments:
        with measuring(environment, suite) as process:
            process.ask("open", one.name)
            found.append([process.ask("sample")])
            process.ask("close")
    return found[0], found[1]


def _as_dict(one: Compared) -> dict[str, Any]:
    told = {
        "name": one.benchmark.label,
        "params": one.benchmark.params,
        "kind": one.benchmark.kind,
    }
    return told | (asdict(one.ratio) if one.ratio else {"error": one.error})
