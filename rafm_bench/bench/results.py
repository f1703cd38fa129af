"""What airspeed velocity measured at a commit, read from its results folder."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rafm_bench.errors import UserError

RESULTS = Path(".asv", "results")
Point = tuple[tuple[str, ...], float]


class About(NamedTuple):
    """What asv knows of a benchmark: its unit, and what its parameters are."""

    unit: str
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One file of results: the facts, and for each benchmark its points."""

    commit: str
    machine: str
    date: int
    facts: dict[str, str]
    points: dict[str, tuple[Point, ...]]
    about: dict[str, About]

    def of(self, name: str, **wanted: str) -> list[Point]:
        """Return the points of a benchmark that have all `wanted` among their texts."""
        return [
            (params, value)
            for params, value in self.points.get(name, ())
            if all(text in params for text in wanted.values())
        ]


def newest(root: Path) -> Measured:
    """Read the results that were written last; UserError when there are none."""
    files = [
        file
        for file in (root / RESULTS).glob("*/*.json")
        if file.name not in ("machine.json", "benchmarks.json")
    ]
    if not files:
        raise UserError(
            f"{root / RESULTS}: holds no results; measure some with `make bench`"
        )
    read = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    latest, file = max(
        zip(read, files, strict=True), key=lambda pair: pair[1].stat().st_mtime
    )
    return Measured(
        commit=latest["commit_hash"],
        machine=file.parent.name,
        date=latest["date"],
        facts=_facts(file.parent / "machine.json"),
        points={
            name: _points(dict(zip(latest["result_columns"], columns, strict=False)))
            for name, columns in latest["results"].items()
        },
        about=_about(root / RESULTS / "benchmarks.json"),
    )


def _facts(machine: Path) -> dict[str, str]:
    about = json.loads(machine.read_text(encoding="utf-8")) if machine.exists() else {}
    names = {"cpu": "processor", "num_cpu": "cores", "os": "system"}
    return {words: about[name] for name, words in names.items() if name in about}


def _about(benchmarks: Path) -> dict[str, About]:
    if not benchmarks.exists():
        return {}
    listed = json.loads(benchmarks.read_text(encoding="utf-8"))
    return {
        name: About(one.get("unit", ""), tuple(one.get("param_names", ())))
        for name, one in listed.items()
        if isinstance(one, dict)  # the file's version is among them
    }


def _points(columns: dict[str, Any]) -> tuple[Point, ...]:
    values = columns.get("result") or []
    params = [[text.strip("'") for text in one] for one in columns.get("params") or []]
    combinations = itertools.product(*params)
    return tuple(
        (combination, float(value))
        for combination, value in zip(combinations, values, strict=True)
        if value is not None and value == value  # NaN: skipped
    )
