"""A comparison of two commits as text: what changed, and how many did not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rafm_bench.tables import table
from rafm_bench.words import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

COLOURS = {"slower": "red", "faster": "green"}
MORE = (("slower", "more"), ("faster", "less"))  # of what is no time
SAME = "no difference shown"


def show_commits(found: Mapping[str, Any], console: Console, *, show_all: bool) -> None:
    """Print what changed (with `show_all` the rest too), errors, facts, a summary."""
    judged = [one for one in found["benchmarks"] if "verdict" in one]
    shown = [one for one in judged if show_all or one["verdict"] != SAME]
    if shown:
        made = table(
            "benchmark", found["base"]["name"], found["head"]["name"], "ratio",
            "interval", "verdict",
        )  # fmt: skip
        for one in sorted(shown, key=lambda one: -one["ratio"]):
            made.add_row(*_cells(one), style=COLOURS.get(one["verdict"]))
        console.print(made)
    for one in found["benchmarks"]:
        if "error" in one and (show_all or one["error"] != "skipped"):
            style = "red" if one["broken"] else None
            console.print(f"{_label(one)}: {one['error']}", markup=False, style=style)
    console.print(_facts(found), markup=False)
    console.print(_summary(found, judged), markup=False)


def _cells(one: Mapping[str, Any]) -> list[str]:
    return [
        _label(one),
        _value(one["base"], one),
        _value(one["head"], one),
        f"{one['ratio']:.3f}",
        f"{one['low']:.3f} to {one['high']:.3f}",
        _word(one),
    ]


def _word(one: Mapping[str, Any]) -> str:
    verdict: str = one["verdict"]
    if one["kind"] != "time":
        for of_time, word in MORE:
            verdict = verdict.replace(of_time, word)
    return verdict


def _label(one: Mapping[str, Any]) -> str:
    params = ", ".join(one["params"])
    return f"{one['name']}({params})" if params else str(one["name"])


def _value(value: float, one: Mapping[str, Any]) -> str:
    if one["unit"] == "bytes":
        return size(int(value))
    if one["kind"] != "time":
        return f"{value:.5g}"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def _facts(found: Mapping[str, Any]) -> str:
    """Tell the machine, and with which packages each commit was measured."""
    here = found["versions"]
    sides = [
        ", ".join(f"{name} {version}" for name, version in side["versions"].items())
        for side in (found["base"], found["head"])
    ]
    same = sides[0] == sides[1]
    packages = sides[1] if same else f"{sides[0]} against {sides[1]}"
    cores = f"{found['cores']} core{'' if found['cores'] == 1 else 's'}"
    return f"{here['processor']}, {cores}; {packages}"


def _summary(found: Mapping[str, Any], judged: list[Mapping[str, Any]]) -> str:
    """Count verdicts and what broke."""
    counts = Counter(one["verdict"] for one in judged)
    slightly = counts["slightly slower"], counts["slightly faster"]
    broken = sum(one.get("broken", False) for one in found["benchmarks"])
    return (
        f"{found['base']['commit'][:12]} -> {found['head']['commit'][:12]}: of "
        f"{len(judged)} benchmarks {counts['slower']} slower (or more) beyond the "
        f"threshold, {counts['faster']} faster (or less), {slightly[0]} slightly "
        f"slower, {slightly[1]} slightly faster, {counts[SAME]} with {SAME}; {broken} "
        f"more ran at {found['base']['name']} and failed at {found['head']['name']}"
    )
