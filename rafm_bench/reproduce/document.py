"""The report of an experiment: its sections written as Markdown and as HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rafm_bench.commands import near
from rafm_bench.pages import template
from rafm_bench.progress import Silent
from rafm_bench.reproduce.block import read_block
from rafm_bench.reproduce.cells import FOLDER
from rafm_bench.reproduce.claims import claims_table, each_once, lead, tally
from rafm_bench.reproduce.figures import (
    frequencies_section,
    ranks_pictures,
    regimes_section,
    sparse_section,
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
from rafm_bench.reproduce.regimes import measure_regimes
from rafm_bench.reproduce.section import Section, Table
from rafm_bench.reproduce.sets import SETS
from rafm_bench.reproduce.tables import block_section, printed_table
from rafm_bench.reproduce.verdicts import ON_ABSENT, OPEN, Verdict
from rafm_bench.staging import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.report import Picture
    from rafm_bench.reproduce.reproduce import Plan
    from rafm_bench.reproduce.sets import Found

CHANGED = ("epochs", "batch_size", "learning_rate", "l2", "l1", "seed")
"""Options of a run that may not be those of its cell's file."""
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
        "facts": facts(plan),
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
            block = read_block(experiment, one, cells, place)
            data = prepare_set(one, cells[0].protocol, work, budget, Silent())
            section = block_section(block, data)
            if experiment == "fig3":
                section.pictures.extend(ranks_pictures(block))
            sections.append(section)
    return sections


def _absent(name: str, unfit: str = "") -> Section:
    """Tell that data are not there, or why those that are prepared do not suit."""
    data_set = SETS[name]
    claim = f"RaFM is better than its rivals on {data_set.title}"
    why = unfit or "the data are not there"
    lead = unfit or f"not there; to get it: {data_set.get}"
    there = name in PAPER
    return Section(
        data_set.title,
        f"{lead[0].upper()}{lead[1:]}."
        + " What the paper prints stands in the table." * there,
        tables=[printed_table(name)] if there else [],
        verdicts=[Verdict(claim, OPEN, data_set.title, why, ON_ABSENT)],
    )


def _again(plan: Plan, found: dict[str, Found | None]) -> list[str]:
    """Return the command of the first run of each data set under each protocol."""
    first = {
        (row["data_set"], row["protocol"]): row
        for row in reversed(plan.place.rows())
        if row["status"] == "done"
    }
    work, told = plan.place.out / "work" / "data", []
    for (name, protocol), row in sorted(first.items()):
        there = found.get(name)
        if there is None:  # of another command with this folder
            continue
        data = folder_of(there, protocol, work, plan.place.budget.name)
        file = FOLDER / f"{row['cell'].partition('.l1-')[0]}.toml"
        changed = [
            f"--{key.replace('_', '-')} {f'{row[key]:g}'.replace('e-0', 'e-')}"
            for key in CHANGED
        ]
        told.append(
            f"rafm-bench train {near(data)} --config {near(file)} "
            f"{' '.join(changed)} --out RUN"
        )
    return told


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
