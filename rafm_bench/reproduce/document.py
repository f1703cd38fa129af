"""The report of an experiment: its sections written as Markdown and as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.commands import near
from rafm_bench.pages import template
from rafm_bench.progress import Silent
from rafm_bench.reproduce.cells import FOLDER
from rafm_bench.reproduce.figures import (
    frequencies_section,
    ranks_pictures,
    regimes_section,
    sparse_section,
)
from rafm_bench.reproduce.gather import MOST_LINES, head_file, prepare_set
from rafm_bench.reproduce.regimes import measure_regimes
from rafm_bench.reproduce.section import Section, Table, Tally
from rafm_bench.reproduce.sets import SETS
from rafm_bench.reproduce.tables import block_section, read_block
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict
from rafm_bench.staging import write_text
from rafm_bench.versions import versions

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.reproduce import Plan
    from rafm_bench.reproduce.sets import Found

CHANGED = ("epochs", "batch_size", "learning_rate", "l2", "l1", "seed")
"""Options of a run that may not be those of its cell's file."""
TITLES = {
    "table1": "Table 1",
    "table2": "Table 2: S1 to S4 against FM 512",
    "table3": "Table 3: ratings",
    "table4": "Table 4: clicks and tags",
    "fig1": "Figure 1",
    "fig3": "Figure 3: FM by rank, RaFM and RaFM-low",
    "fig4": "Figure 4: AUC over parameters, FTRL",
}


def write_documents(
    plan: Plan, found: dict[str, Found | None], report: Reporter
) -> Path:
    """Write report.md and report.html; return the page."""
    out = plan.place.out
    parts = {one: _sections(one, plan, found, report) for one in plan.experiments}
    verdicts = [v for some in parts.values() for part in some for v in part.verdicts]
    about = {
        "title": "RaFM, reproduced",
        "markdown": markdown_table,
        "lead": _lead(verdicts),
        "protocols": _protocols(plan),
        "deviations": _deviations(plan),
        "parts": {TITLES[name]: sections for name, sections in parts.items()},
        "tallies": [_tally(TITLES[name], some) for name, some in parts.items()],
        "missing": _missing(found),
        "again": _again(plan),
        "facts": _facts(plan),
    }
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
            (one, prepare_set(one, "clean", work, budget, Silent())) for one in there
        ]
        return [frequencies_section(prepared)]
    sections = []
    for name in names:
        one, cells = found[name], plan.cells(experiment, name)
        if one is None:
            sections.append(_absent(name))
        elif experiment == "fig4":
            sections.append(sparse_section(one, cells, place))
        else:
            block = read_block(experiment, one, cells, place)
            section = block_section(block)
            if experiment == "fig3":
                section.pictures.extend(ranks_pictures(block))
            sections.append(section)
        if one is not None and head_file(one, work).is_file():
            note = f"a small budget reads the first {MOST_LINES:,} lines alone"
            sections[-1].notes.append(note)
    return sections


def _tally(title: str, sections: list[Section]) -> Tally:
    verdicts = [one for section in sections for one in section.verdicts]
    return Tally(
        title, *(sum(v.result == r for v in verdicts) for r in (YES, NO, OPEN))
    )


def _absent(name: str) -> Section:
    data_set = SETS[name]
    claim = f"RaFM is better than its rivals on {data_set.title}"
    why = "the data are not there"
    return Section(
        data_set.title,
        f"Not there. To get it: {data_set.get}.",
        verdicts=[Verdict(claim, OPEN, data_set.title, why)],
    )


def _lead(verdicts: list[Verdict]) -> str:
    n = {one: sum(v.result == one for v in verdicts) for one in (YES, NO, OPEN)}
    return (
        f"Of {len(verdicts)} claims, {n[YES]} were reproduced, {n[NO]} were not, and "
        f"{n[OPEN]} could not be tested on the data at hand."
    )


def _protocols(plan: Plan) -> list[str]:
    budget = plan.place.budget
    told = {
        "paper": "paper protocol: counts over all splits and thresholds; an epoch is N "
        "random blocks of neighbouring rows drawn with replacement, Adam moves every "
        "parameter each step (rate 0.001, L2 on all embeddings), test figures are "
        "means over N random blocks, probabilities clipped to [0.0001, 0.9999] and "
        "ratings to their range; `all rows` is the same model on every test row, not "
        "clipped",
        "clean": "clean protocol: counts of the training split, ranks by Eq. 17, "
        "AdaGrad, full passes, metrics of all test rows; rate and L2 from one grid, "
        "the same number of trials for every model, chosen on validation",
    }
    trials = [
        f"{protocol}: "
        + " x ".join(
            f"{name.replace('_', ' ')} {', '.join(f'{value:g}' for value in values)}"
            for name, values in space.items()
        )
        for protocol, space in budget.grids.items()
        if protocol.split("-")[0] in (*plan.protocols, "sparse")
    ]
    return [
        *(told[one] for one in plan.protocols),
        f"budget {budget.name}: {len(budget.seeds)} seeds, epochs at most "
        + ", ".join(f"{count} ({name})" for name, count in budget.epochs.items())
        + f"; grids {'; '.join(trials)}",
        "trials have seed 0 and the runs told have others; a figure is mean ± half "
        "of its 95 % interval by Student's t over seeds, on one split of the data: how "
        "figures move with the split is not in it",
        "a claim of quality is reproduced when the intervals do not overlap; times are "
        "the least of all epochs' training passes and of their validations, in those "
        "of the table's first model; what the paper prints stands in brackets",
    ]


def _deviations(plan: Plan) -> list[str]:
    if "paper" not in plan.protocols:
        return []
    return [
        "linear weights and bias learn from the prediction alone; in the authors' "
        "program they receive the terms of all levels",
        f"training stops after 5 epochs without a better validation loss, or at "
        f"{plan.place.budget.epochs['paper']}; the authors go on to 200 or 400 and "
        "take the best",
        "rows are mixed once, by the seed, before blocks are cut; how the authors' "
        "files were mixed is not known, and N blocks are taken for test figures too",
        "where the data are smaller than the paper's, so that its blocks would make an "
        "epoch of over three passes, blocks are smaller: as many of them are one pass",
        "L2 is searched on a part of the paper's grid"
        if plan.place.budget.name == "small"
        else "L2 is searched on the paper's grid",
    ]


def _missing(found: dict[str, Found | None]) -> list[str]:
    told = [
        f"{SETS[name].title}: {SETS[name].get}"
        for name, one in found.items()
        if one is None
    ]
    told += [
        f"{one.told} ({one.choice.kind}); the paper's own: {one.data_set.get}"
        for one in found.values()
        if one is not None and one.choice.kind in ("sample", "near")
    ]
    return told


def _facts(plan: Plan) -> dict[str, str]:
    fingerprints = {
        f"data {row['data_set']}, {row['protocol']}": row["data_fingerprint"][:16]
        for row in plan.place.rows()
    }
    return {**versions(), **fingerprints, "results": "results.parquet"}


def _again(plan: Plan) -> list[str]:
    """Return the command of the first run of each data set under each protocol."""
    first = {
        (row["data_set"], row["protocol"]): row
        for row in reversed(plan.place.rows())
        if row["status"] == "done"
    }
    data, told = plan.place.out / "work" / "data", []
    for (name, protocol), row in first.items():
        counts = "all" if protocol == "paper" else "train"
        file = FOLDER / f"{row['cell'].partition('.l1-')[0]}.toml"
        changed = [f"--{key.replace('_', '-')} {row[key]:g}" for key in CHANGED]
        told.append(
            f"rafm-bench train {near(data / f'{name}.counts-{counts}')} --config "
            f"{near(file)} {' '.join(changed)} --out RUN"
        )
    return told


def markdown_table(table: Table) -> str:
    """Write a table as Markdown, its first two columns to the left."""
    head = [name.replace("|", "\\|") for name in table.header]
    rule = ["---" if number < 2 else "---:" for number in range(len(head))]
    lines = [
        head,
        rule,
        *([cell.replace("|", "\\|") for cell in r] for r in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
