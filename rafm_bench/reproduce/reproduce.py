"""The whole of `rafm-bench reproduce`: data, cells, and one report of them."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rafm_bench.errors import Interrupted, UserError
from rafm_bench.lock import locked
from rafm_bench.reproduce.cells import (
    EXPERIMENTS,
    FIG1_SETS,
    FIG4_SETS,
    TABLES,
    cells_of,
    sparse_cells,
)
from rafm_bench.reproduce.gather import find, lay_out, prepare_set
from rafm_bench.reproduce.regimes import measure_regimes
from rafm_bench.reproduce.sets import SETS, Found
from rafm_bench.reproduce.work import Place, do_cell

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.reproduce.sets import Protocol
    from rafm_datasets import PreparedData

REGIMES = "work/table1.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: experiments in order, protocols, raw files below `root`."""

    experiments: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    root: Path
    place: Place

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the data sets of each experiment."""
        of_figures = {"fig1": FIG1_SETS, "fig4": FIG4_SETS, "table1": ()}
        return {
            one: of_figures.get(one) or tuple(TABLES.get(one, ()))
            for one in self.experiments
        }

    def found(self) -> dict[str, Found | None]:
        """Find the raw files of every data set that an experiment needs."""
        names = dict.fromkeys(name for some in self.names.values() for name in some)
        return {name: find(SETS[name], self.root) for name in names}

    def cells(self, experiment: str, data_set: str) -> list[Cell]:
        """Return the cells of an experiment on a data set, under every protocol."""
        if experiment == "fig4":
            return sparse_cells(data_set, self.place.budget.l1)
        return [
            cell
            for protocol in self.protocols
            for cell in cells_of(experiment, data_set, protocol)
        ]


def read_experiments(name: str) -> tuple[str, ...]:
    """Return the experiments that a name stands for."""
    return EXPERIMENTS if name == "all" else (name,)


def read_protocols(name: str) -> tuple[Protocol, ...]:
    """Return the protocols that a name stands for."""
    protocols: dict[str, tuple[Protocol, ...]] = {
        "clean": ("clean",),
        "paper": ("paper",),
        "both": ("clean", "paper"),
    }
    return protocols[name]


def reproduce(plan: Plan, report: Reporter) -> Path:
    """Run what is left of the experiments and write the report; return its page.

    Raises
    ------
    UserError                         when there is no data, or another process is at
                                      work in the folder
    Interrupted                       on Ctrl-C; what is done stays
    """
    out = plan.place.out
    found = plan.found()
    if found and not any(found.values()):
        raise UserError(
            f"{plan.root}: holds no raw files of the experiments; get them by "
            f"`rafm-bench fetch`, e.g. {next(SETS[name].get for name in found)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    busy = f"{out}: another process is at work there; wait, or choose another --out"
    with locked(out / ".lock", busy):
        try:
            return _run_all(plan, found, report)
        except (Interrupted, KeyboardInterrupt) as stop:
            number = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
            text = f"interrupted; the same command goes on in {out}"
            raise Interrupted(text, number) from None


def _run_all(plan: Plan, found: dict[str, Found | None], report: Reporter) -> Path:
    """Prepare all data, then run one experiment after the other, each into the report.

    So raw files that cannot be read are told before hours of work, not after.
    """
    from rafm_bench.reproduce.document import write_documents

    work, budget = plan.place.out / "work" / "data", plan.place.budget.name
    here = {
        name: None if one is None else lay_out(one, work, budget, report)
        for name, one in found.items()
    }
    prepared = _prepare_all(plan, here, report)
    plan.place.data.update((key, data.fingerprint) for key, data in prepared.items())
    for number, experiment in enumerate(plan.experiments, start=1):
        before = _stamp(plan.place.store)
        _run(experiment, plan, here, prepared, report)
        is_last = number == len(plan.experiments)
        if not is_last and _stamp(plan.place.store) != before:
            done = replace(plan, experiments=plan.experiments[:number])
            write_documents(done, here, report)
    return write_documents(plan, here, report)


def _stamp(file: Path) -> int:
    """Return when a file was written last; 0 where it is not there."""
    return file.stat().st_mtime_ns if file.exists() else 0


def _prepare_all(
    plan: Plan, found: dict[str, Found | None], report: Reporter
) -> dict[tuple[str, Protocol], PreparedData]:
    """Prepare every data set for each protocol that needs it and that it suits."""
    work, budget = plan.place.out / "work" / "data", plan.place.budget.name
    prepared = {}
    for experiment, names in plan.names.items():
        for name in names:
            there = found[name]
            if there is None:
                continue
            cells = plan.cells(experiment, name)
            needed = [cell.protocol for cell in cells] or ["clean"]  # figure 1's counts
            for protocol in dict.fromkeys(needed):
                if (name, protocol) not in prepared and not there.why_not(protocol):
                    data = prepare_set(there, protocol, work, budget, report)
                    prepared[name, protocol] = data
    return prepared


def _run(
    experiment: str,
    plan: Plan,
    found: dict[str, Found | None],
    prepared: dict[tuple[str, Protocol], PreparedData],
    report: Reporter,
) -> None:
    if experiment == "table1":
        measure_regimes(plan.place.out / REGIMES, report)
    for name in plan.names[experiment]:
        there, title = found[name], SETS[name].title
        if there is None:
            report.say(f"{experiment}, {title}: missing; {SETS[name].get}")
            continue
        cells = plan.cells(experiment, name)
        for protocol in dict.fromkeys(cell.protocol for cell in cells):
            if why := there.why_not(protocol):
                report.say(f"{experiment}, {title}: {why}")
        for cell in cells:
            if not there.why_not(cell.protocol):
                do_cell(cell, prepared[name, cell.protocol], plan.place, report)
