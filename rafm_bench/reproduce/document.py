"""The report of an experiment: its sections written as Markdown and as HTML."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.commands import train_words
from rafm_bench.config import TrainConfig
from rafm_bench.pages import template
from rafm_bench.progress import Silent
from rafm_bench.reproduce.block import read_block
from rafm_bench.reproduce.claims import claims_table, each_once, lead, tally
from rafm_bench.reproduce.figures import (
    frequencies_section,
    ranks_pictures,
    regimes_section,
)
from rafm_bench.reproduce.gather import folder_of, prepare_set
from rafm_bench.reproduce.method import (
    READING,
    TUNED,
    describe,
    deviations,
    facts,
    missing,
)
from rafm_bench.reproduce.paper import PAPER
from rafm_bench.reproduce.regimes import measure_regimes, measured_by
from rafm_bench.reproduce.section import Section, Table
from rafm_bench.reproduce.sets import SETS
from rafm_bench.reproduce.sparse import sparse_section
from rafm_bench.reproduce.tables import block_section, printed_table
from rafm_bench.reproduce.verdicts import ON_ABSENT, OPEN, Verdict
from rafm_bench.staging import write_text

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter
    from rafm_bench.report import Picture
    from rafm_bench.reproduce.reproduce import Plan
    from rafm_bench.reproduce.sets import Found
    from rafm_bench.store import Row

TITLES = {
    "table1": "Table 1: cost in four regimes",
    "table2": "Table 2: S1 to S4 against FM 512",
    "table3": "Table 3: ratings",
    "table4": "Table 4: clicks and tags",
    "fig1": "Figure 1: how often features are seen",
    "fig3": "Figure 3: FM by rank, RaFM and RaFM-low",
    "fig4": "Figure 4: AUC over parameters, FTRL",
}


def write_documents(
    plan: Plan, found: dict[str, Found | None], report: Reporter
) -> Path:
    """Write report.md with its figures/, and report.html; return the page."""
    out = plan.place.out
    parts = {one: _sections(one, plan, found, report) for one in plan.experiments}
    verdicts = each_once(parts)
    about = {
        "title": "RaFM: the paper's experiments, run again",
        "markdown": markdown_table,
        "file_of": _file_of,
        "lead": lead(verdicts),
        "reading": READING,
        "claims": claims_table(verdicts),
        "protocols": describe(plan),
        "deviations": deviations(plan, found),
        "tuned": TUNED,
        "parts": {TITLES[name]: sections for name, sections in parts.items()},
        "tallies": [tally(TITLES[name], some) for name, some in parts.items()],
        "missing": missing(found),
        "again": _again(plan, found),
        "facts": facts(plan) | _timed_by(plan),
    }
    for picture in (one for some in parts.values() for s in some for one in s.pictures):
        write_text(out / _file_of(picture), picture.svg)
    page = out / "report.html"
    write_text(out / "report.md", template("reproduce.md.j2").render(about))
    write_text(page, template("reproduce.html.j2").render(about))
    return page


def _sections(
    experiment: str, plan: Plan, found: dict[str, Found | None], report: Reporter
) -> list[Section]:
    from rafm_bench.reproduce.reproduce import REGIMES

    place, names = plan.place, plan.names[experiment]
    work, budget = place.out / "work" / "data", place.budget.name
    there = [one for name in names if (one := found[name]) is not None]
    if experiment == "table1":
        return [regimes_section(measure_regimes(place.out / REGIMES, report))]
    if experiment == "fig1":
        prepared = [
            (one, prepare_set(one, "clean", work, budget, Silent()))
            for one in there
            if not one.why_not("clean")
        ]
        return [frequencies_section(prepared)]
    sections = []
    for name in names:
        one, cells = found[name], plan.cells(experiment, name)
        if one is None:
            sections.append(_absent(name))
            continue
        unfit = [why for cell in cells if (why := one.why_not(cell.protocol))]
        cells = [cell for cell in cells if not one.why_not(cell.protocol)]
        if not cells:
            sections.append(_absent(name, unfit[0]))
        elif experiment == "fig4":
            sections.append(sparse_section(one, cells, place))
        else:
            data = {
                cell.protocol: prepare_set(one, cell.protocol, work, budget, Silent())
                for cell in cells
            }
            block = read_block(experiment, one, cells, place, data)
            section = block_section(block, data[cells[0].protocol])
            if experiment == "fig3":
                section.pictures.extend(ranks_pictures(block))
            sections.append(section)
    return sections


def _absent(name: str, unfit: str = "") -> Section:
    """Tell that data are not there, or why those that are prepared do not suit.

    Of the paper's own data a claim is open; what it never had is none.
    """
    data_set = SETS[name]
    lead = unfit or f"not there; to get it: {data_set.get}"
    lead = f"{lead[0].upper()}{lead[1:]}."
    if name not in PAPER:
        return Section(data_set.title, lead)
    claim = f"RaFM is better than its rivals on {data_set.title}"
    why = unfit or "the data are not there"
    return Section(
        data_set.title,
        f"{lead} What the paper prints stands in the table.",
        tables=[printed_table(name)],
        verdicts=[Verdict(claim, OPEN, data_set.title, why, ON_ABSENT)],
    )


def _again(plan: Plan, found: dict[str, Found | None]) -> list[str]:
    """Return for each cell the command that makes its first run again."""
    first: dict[str, Row] = {}
    for row in plan.place.rows():
        if row["status"] == "done":
            first.setdefault(row["cell"], row)
    work, told = plan.place.out / "work" / "data", []
    for name, row in first.items():
        there = found.get(row["data_set"])
        if there is None:  # of another command with this folder
            continue
        data = folder_of(there, row["protocol"], work, plan.place.budget.name)
        words = train_words(_config(row), data, Path("RUN") / name)
        told.append(shlex.join(["rafm-bench", *words]))
    return told


def _config(row: Row) -> TrainConfig:
    """Return the config of a run from its row, in which lists are text."""
    options = {one.name: row.get(one.name) for one in fields(TrainConfig)}
    given = {name: value for name, value in options.items() if value not in (None, "")}
    return TrainConfig(**given)


def _timed_by(plan: Plan) -> dict[str, str]:
    """Say what timed table 1, which is not in the table of results."""
    if "table1" not in plan.experiments:
        return {}
    return {"table 1 timed by": ", ".join(filter(None, measured_by().values()))}


def _file_of(picture: Picture) -> str:
    """Name the file of a picture, from the report on."""
    return f"figures/{re.sub('[^a-z0-9]+', '-', picture.title.lower()).strip('-')}.svg"


def markdown_table(table: Table) -> str:
    """Write a table as Markdown, its columns of words to the left."""
    head = [name.replace("|", "\\|") for name in table.header]
    rule = ["---" if number < table.n_words else "---:" for number in range(len(head))]
    lines = [
        head,
        rule,
        *([str(cell).replace("|", "\\|") for cell in r] for r in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
