"""BASE against HEAD: both are built, measured in turns, and judged."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.backend_check import usable_cpus
from rafm_bench.bench.environments import (
    Environment,
    build,
    commit_of,
    only_comparison,
    repository,
    uncommitted,
)
from rafm_bench.bench.measure import SKIPPED, Benchmark, Turns
from rafm_bench.bench.processes import BenchmarkError, measuring
from rafm_bench.bench.verdicts import judge, never_varies
from rafm_bench.errors import RunError, UserError
from rafm_bench.versions import LIBRARIES, versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rafm_bench.progress import Reporter

SIDES = ("base", "head")


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


def compare_commits(plan: Plan, report: Reporter) -> dict[str, Any]:
    """Build both commits, measure them in turns, judge every benchmark.

    Returns
    -------
    dict                              base and head (commit and versions), cores and
                                      versions here, pairs, threshold; `worse`: whether
                                      a benchmark is slower or broken; `benchmarks`:
                                      name, params, kind, unit and either base, head,
                                      ratio, low, high, verdict (see `verdicts.judge`),
                                      or error, fails_at (of "base", "head") and broken:
                                      whether it fails at HEAD and runs at BASE

    Raises
    ------
    UserError                         no such commit, a dirty tree, no such benchmark,
                                      another comparison runs
    RunError                          a commit that cannot be built, or no benchmark
                                      that could be judged
    """
    root = repository()
    _refuse_dirt(root, plan)
    commits = [(name, commit_of(root, name)) for name in (plan.base, plan.head)]
    with only_comparison(root):
        base, head = (build(root, name, commit, report) for name, commit in commits)
        suite = head.source / "benchmarks"
        about = [_about(one, suite) for one in (base, head)]
        _warn_of_versions(about[0], about[1], report)
        here = {"cores": usable_cpus(), "versions": versions()}
        turns = Turns((base, head), suite, _chosen(plan, head, suite), report)
        turns.take(plan.pairs, plan.samples)
    found = _judged(turns, plan)
    return {
        **dict(zip(SIDES, about, strict=True)),
        **here,
        "pairs": plan.pairs,
        "threshold": plan.threshold,
        "worse": any(
            one.get("verdict") == "slower" or one.get("broken") for one in found
        ),
        "benchmarks": found,
    }


def _refuse_dirt(root: Path, plan: Plan) -> None:
    dirt = [] if plan.allow_dirty else uncommitted(root)
    if dirt:
        named = ", ".join(dirt[:3]) + (", ..." if len(dirt) > 3 else "")
        raise UserError(
            f"{root}: has changes that no commit holds ({named}), and they would not "
            "be measured; commit them, or add --allow-dirty to leave them out"
        )


def _about(environment: Environment, suite: Path) -> dict[str, Any]:
    found = _ask(environment, suite, "versions", LIBRARIES)
    commit = environment.commit
    return {"name": environment.name, "commit": commit, "versions": found}


def _ask(environment: Environment, suite: Path, *request: Any) -> Any:
    with measuring(environment, suite) as process:
        try:
            return process.ask(*request)
        except BenchmarkError as error:
            raise RunError(
                f"{environment.name} cannot tell its {request[0]}: {error}"
            ) from None


def _warn_of_versions(
    base: Mapping[str, Any], head: Mapping[str, Any], report: Reporter
) -> None:
    differ = [
        f"{name} {base['versions'].get(name)} and {version}"
        for name, version in head["versions"].items()
        if base["versions"].get(name) != version
    ]
    if differ:
        report.say(
            f"warning: {base['name']} and {head['name']} have different packages "
            f"({', '.join(differ)}): what those change shows too"
        )


def _chosen(plan: Plan, head: Environment, suite: Path) -> list[Benchmark]:
    try:
        pattern = re.compile(plan.suite)
    except re.error as error:
        raise UserError(
            f"--suite {plan.suite!r} is not a regular expression: {error}; write one "
            "such as 'models|regimes'"
        ) from None
    every = [
        Benchmark(**one | {"params": tuple(one["params"])})
        for one in _ask(head, suite, "list")
    ]
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


def _judged(turns: Turns, plan: Plan) -> list[dict[str, Any]]:
    """Describe each benchmark with its ratio, or with why it has none."""
    pairs = {
        one.name: turns.pairs[one.name]
        for one in turns.chosen
        if one.name not in turns.errors
    }
    if not pairs:
        first = turns.chosen[0]
        why = _failure(turns.errors[first.name], plan)["error"]
        raise RunError(
            f"none of {len(turns.chosen)} benchmarks could be judged; the first, "
            f"{first.name}: {why}"
        )
    varying = sum(not never_varies(samples) for samples in pairs.values())
    found = []
    for one in turns.chosen:
        told = {"name": one.label, "params": one.params}
        told |= {"kind": one.kind, "unit": one.unit}
        if one.name in pairs:
            ratio = judge(
                pairs[one.name],
                max(1, varying),
                plan.threshold,
                is_memory=one.is_memory,
            )
            found.append(told | asdict(ratio))
        else:
            found.append(told | _failure(turns.errors[one.name], plan))
    return found


def _failure(errors: Mapping[int, str], plan: Plan) -> dict[str, Any]:
    """Put what went wrong at BASE (0) and HEAD (1) into words."""
    names = (plan.base, plan.head)
    fails = [side for side, text in sorted(errors.items()) if text != SKIPPED]
    if len(set(errors.values())) == 1 and len(errors) == 2:
        text = errors[0] if not fails else f"fails at both: {errors[0]}"
    else:
        text = "; ".join(
            f"fails at {names[side]}: {text}"
            if text != SKIPPED
            else f"skipped at {names[side]}"
            for side, text in sorted(errors.items())
        )
    return {
        "error": text,
        "fails_at": [SIDES[side] for side in fails],
        "broken": fails == [1] and 0 not in errors,
    }
