"""What airspeed velocity measured at a commit, read from its results folder."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rafm_bench.bench.libraries import recorded
from rafm_bench.errors import UserError

RESULTS = Path(".asv", "results")
Point = tuple[tuple[str, ...], float]


class About(NamedTuple):
    """What asv knows of a benchmark: its unit, and what its parameters are."""

    unit: str
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One file of results: the facts, and for each benchmark its points.

    `libraries` is empty where nobody recorded them; `failed` names the benchmarks,
    with their parameters, that gave no value.
    """

    commit: str
    machine: str
    date: int
    facts: dict[str, str]
    libraries: dict[str, str]
    points: dict[str, tuple[Point, ...]]
    failed: tuple[str, ...]
    about: dict[str, About]

    def of(self, name: str, **wanted: str) -> list[Point]:
        """Return the points of a benchmark whose parameters, by name, are `wanted`."""
        names = self.about[name].params if name in self.about else ()
        return [
            (params, value)
            for params, value in self.points.get(name, ())
            if wanted.items() <= dict(zip(names, params, strict=False)).items()
        ]


def newest(root: Path) -> Measured:
    """Read the results that were written last; UserError when there are none."""
    file = newest_file(root)
    latest = json.loads(file.read_text(encoding="utf-8"))
    results = {
        name: dict(zip(latest["result_columns"], columns, strict=False))
        for name, columns in latest["results"].items()
    }
    return Measured(
        commit=latest["commit_hash"],
        machine=file.parent.name,
        date=latest["date"],
        facts=_facts(file.parent / "machine.json"),
        libraries=recorded(file.parent, latest["commit_hash"]),
        points={name: _points(columns) for name, columns in results.items()},
        failed=tuple(
            label
            for name, columns in results.items()
            for label in _failed(name, columns)
        ),
        about=_about(root / RESULTS / "benchmarks.json"),
    )


def newest_file(root: Path) -> Path:
    """Find the file of results that was written last; UserError when there is none."""
    files = [
        file
        for file in (root / RESULTS).glob("*/*.json")
        if file.name not in ("machine.json", "benchmarks.json")
    ]
    if not files:
        raise UserError(
            f"{root / RESULTS}: holds no results; measure some with `make bench`"
        )
    return max(files, key=lambda file: file.stat().st_mtime)


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
    return tuple(
        (combination, float(value))
        for combination, value in _values(columns)
        if value is not None and value == value  # NaN: skipped
    )


def _failed(name: str, columns: dict[str, Any]) -> list[str]:
    if columns.get("result") is None:  # all of it, which asv writes as one null
        return [name]
    return [
        f"{name}({', '.join(combination)})" if combination else name
        for combination, value in _values(columns)
        if value is None
    ]


def _values(columns: dict[str, Any]) -> list[tuple[tuple[str, ...], float | None]]:
    values = columns.get("result")
    if values is None:
        return []
    params = [[text.strip("'") for text in one] for one in columns.get("params") or []]
    return list(zip(itertools.product(*params), values, strict=True))
