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
MORE = {"slower": "more", "faster": "less"}  # of what is no time


def show_commits(found: Mapping[str, Any], console: Console, *, show_all: bool) -> None:
    """Print what changed (with `show_all` the rest too), errors, and a summary."""
    judged = [one for one in found["benchmarks"] if "verdict" in one]
    shown = [one for one in judged if show_all or one["verdict"] in COLOURS]
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
            console.print(f"{_label(one)}: {one['error']}", markup=False)
    console.print(_summary(found, judged))


def _cells(one: Mapping[str, Any]) -> list[str]:
    return [
        _label(one),
        _value(one["base"], one["kind"]),
        _value(one["head"], one["kind"]),
        f"{one['ratio']:.2f}",
        f"{one['low']:.2f} to {one['high']:.2f}",
        _word(one),
    ]


def _word(one: Mapping[str, Any]) -> str:
    verdict: str = one["verdict"]
    return verdict if one["kind"] == "time" else MORE.get(verdict, verdict)


def _label(one: Mapping[str, Any]) -> str:
    params = ", ".join(one["params"])
    return f"{one['name']}({params})" if params else str(one["name"])


def _value(value: float, kind: str) -> str:
    if kind == "peakmemory":
        return size(int(value))
    if kind != "time":
        return f"{value:.5g}"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def _summary(found: Mapping[str, Any], judged: list[Mapping[str, Any]]) -> str:
    counts = Counter(one["verdict"] for one in judged)
    told = ", ".join(
        f"{counts[verdict]} {word}"
        for verdict, word in (
            ("slower", f"slower (or more) by over {found['threshold']:g} times"),
            ("faster", "faster (or less)"),
            ("no difference shown", "no difference shown"),
        )
    )
    return (
        f"{found['base']['commit'][:12]} -> {found['head']['commit'][:12]}: of "
        f"{len(judged)} benchmarks {told}"
    )
