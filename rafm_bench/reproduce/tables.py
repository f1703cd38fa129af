"""Tables 2, 3 and 4, and figure 3: the paper's figures beside ours, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rafm_bench.reproduce.cells import S_CELLS, Cell
from rafm_bench.reproduce.paper import NOT_REBUILT, PAPER, Printed
from rafm_bench.reproduce.results import outcome
from rafm_bench.reproduce.section import Section, Table
from rafm_bench.reproduce.verdicts import (
    OPEN,
    Verdict,
    beats,
    judge_at_most,
    judge_better,
    judge_less,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.results import Interval, Outcome
    from rafm_bench.reproduce.sets import Found
    from rafm_bench.reproduce.work import Place

WANTED = 0.130
"""The log loss that RaFM is to have on Frappe under the clean protocol."""
PROTOCOLS = ("paper", "clean")
EQUAL = {
    "rafm-64-256": {"clean": "fm-94", "paper": "fm-130"},
    "rafm-128-256": {"clean": "fm-152"},
}
"""On Frappe the FM with as many parameters, by protocol."""


@dataclass(frozen=True, slots=True)
class Block:
    """The cells of an experiment on a data set, by model and protocol."""

    experiment: str
    found: Found
    outcomes: dict[tuple[str, str], Outcome]
    measure: str

    @property
    def models(self) -> list[str]:
        """Return the models in the order of the table."""
        return list(dict.fromkeys(model for model, _ in self.outcomes))

    @property
    def protocols(self) -> list[str]:
        """Return the protocols that were run, the paper's first."""
        run = {protocol for _, protocol in self.outcomes}
        return [one for one in PROTOCOLS if one in run]

    def where(self, protocol: str) -> str:
        """Name data and protocol."""
        data = self.found.data_set.title
        kind = self.found.choice.kind
        return f"{data}{'' if kind in ('papers', 'near') else f' ({kind})'}, {protocol}"


def read_block(
    experiment: str, found: Found, cells: Sequence[Cell], place: Place
) -> Block:
    """Read the results of cells."""
    outcomes: dict[tuple[str, str], Outcome] = {
        (cell.model, cell.protocol): outcome(cell, place) for cell in cells
    }
    return Block(experiment, found, outcomes, cells[0].model)


def block_section(block: Block) -> Section:
    """Return table, verdicts and remarks of an experiment on a data set."""
    name = block.found.data_set.name
    verdicts = [one for p in block.protocols for one in _verdicts(block, p)]
    if block.found.choice.kind == "sample":
        verdicts = [_of_sample(block)]
    notes = [NOT_REBUILT[name]] if name in NOT_REBUILT and name in PAPER else []
    notes += [
        f"{one.cell.label}, {one.cell.protocol}: {error}"
        for one in block.outcomes.values()
        for error in one.errors
    ]
    return Section(
        block.found.data_set.title,
        f"{block.found.told[0].upper()}{block.found.told[1:]}.",
        tables=[_table(block)],
        verdicts=verdicts,
        notes=notes,
    )


def _of_sample(block: Block) -> Verdict:
    title = block.found.data_set.title
    why = "a sample of some thousand rows cannot tell models apart"
    claim = f"RaFM is better than its rivals on {title}"
    return Verdict(claim, OPEN, f"{title} (sample)", why)


def _table(block: Block) -> Table:
    is_ratings = any(one.loss_name == "rmse" for one in block.outcomes.values())
    loss = "RMSE" if is_ratings else "log loss"
    auc = [] if is_ratings else ["AUC (printed)"]
    header = ["model", "protocol", f"{loss} (printed)", *auc]
    header += ["all rows", "clean - paper", "parameters (printed)"]
    header += ["train time (printed)", "test time (printed)", "rate", "L2", "seeds"]
    rows = [
        _row(block, model, protocol, is_ratings=is_ratings)
        for model in block.models
        for protocol in block.protocols
        if (model, protocol) in block.outcomes
    ]
    return Table(header, rows)


def _row(block: Block, model: str, protocol: str, *, is_ratings: bool) -> list[str]:
    found = block.outcomes[model, protocol]
    measure = block.outcomes[block.measure, protocol]
    printed = PAPER.get(block.found.data_set.name, {}).get(model, Printed(0.0))
    aucs = [] if is_ratings else [_beside(_text(found.auc), _figure(printed.auc))]
    return [
        found.cell.label,
        protocol,
        _beside(_text(found.loss), _figure(printed.loss or None)),
        *aucs,
        _figure(found.mean(f"all_{found.loss_name}")) if protocol == "paper" else "",
        _gap(block, model) if protocol == "clean" else "",
        _beside(_millions(found.n_parameters), printed.parameters),
        _beside(_ratio(found, measure, "train_seconds"), _times(printed.train_time)),
        _beside(_ratio(found, measure, "score_seconds"), _times(printed.test_time)),
        *_options(found),
    ]


def _options(found: Outcome) -> list[str]:
    if not found.rows:
        return ["-", "-", "0"]
    row = found.rows[0]
    return [f"{row['learning_rate']:g}", f"{row['l2']:g}", f"{len(found.rows)}"]


def _beside(ours: str, printed: str) -> str:
    return f"{ours} ({printed})" if printed else ours


def _gap(block: Block, model: str) -> str:
    clean = block.outcomes[model, "clean"].loss
    other = block.outcomes.get((model, "paper"))
    paper = None if other is None else other.loss
    if clean is None or paper is None:
        return ""
    return f"{clean.mean - paper.mean:+.4f}"


def _verdicts(block: Block, protocol: str) -> list[Verdict]:
    of = {m: one for (m, p), one in block.outcomes.items() if p == protocol}
    where, fm = block.where(protocol), of[block.measure]
    if block.experiment == "table2":
        return _verdicts_of_s(of, where)
    if block.experiment == "fig3":
        return _verdicts_of_ranks(of, where)
    rafm = next(one for model, one in of.items() if model.startswith("rafm"))
    verdicts = []
    for model, rival in of.items():
        if model == block.measure or model.split("-")[0] in ("difacto", "mrma"):
            claim = f"RaFM is better than {rival.cell.label}"
            verdicts += beats(claim, where, rafm, rival)
    verdicts += _costs(rafm, fm, where)
    if block.found.data_set.name == "frappe":
        verdicts += _verdicts_of_frappe(of, where, protocol)
    return verdicts


def _costs(ours: Outcome, fm: Outcome, where: str) -> list[Verdict]:
    name, other = ours.cell.label, fm.cell.label
    return [
        judge_less(
            f"{name} has fewer parameters than {other}",
            where,
            ours.n_parameters,
            fm.n_parameters,
            "parameters",
        ),
        judge_less(
            f"{name} trains faster than {other}",
            where,
            ours.least("train_seconds"),
            fm.least("train_seconds"),
            "seconds an epoch",
        ),
    ]


def _verdicts_of_frappe(
    of: dict[str, Outcome], where: str, protocol: str
) -> list[Verdict]:
    verdicts = []
    for model, rivals in EQUAL.items():
        rival = of.get(rivals.get(protocol, ""))
        if rival is not None and rival.n_parameters and of[model].n_parameters:
            ratio = (of[model].n_parameters or 0) / rival.n_parameters
            claim = (
                f"{of[model].cell.label} is better than {rival.cell.label}, of equal "
                f"parameters ({ratio:.2f} times as many),"
            )
            verdicts += beats(claim, where, of[model], rival)
    if protocol == "clean":
        rafm = [one for model, one in of.items() if model.startswith("rafm")]
        best = min(rafm, key=lambda one: one.mean("valid_log_loss") or 1.0)
        claim = f"RaFM has a log loss of at most {WANTED:.3f} (an aim of this program)"
        verdicts.append(
            judge_at_most(f"{claim}: {best.cell.label}", where, best.loss, WANTED)
        )
    return verdicts


def _verdicts_of_s(of: dict[str, Outcome], where: str) -> list[Verdict]:
    fm, verdicts = of["fm-512"], []
    for name in S_CELLS:
        ours = of[name]
        claim = f"{ours.cell.label} is better than FM 512"
        verdicts += beats(claim, where, ours, fm)[:1]
        verdicts += _costs(ours, fm, where)[: 1 if name == "rafm-s4" else 2]
    return verdicts


def _verdicts_of_ranks(of: dict[str, Outcome], where: str) -> list[Verdict]:
    rafm = of["rafm-s1"]
    fms = [one for model, one in of.items() if model.startswith("fm") and one.loss]
    if not fms:
        return []
    best = min(fms, key=lambda one: one.mean("valid_log_loss") or 1.0)
    claim = f"RaFM 32,512 is better than FM of any rank (the best: {best.cell.label})"
    low = rafm.interval("level_1_log_loss")
    return [
        *beats(claim, where, rafm, best)[:1],
        judge_better(
            "RaFM-low (B_11, rank 32) is better than FM 32 in log loss",
            where,
            low,
            of["fm-32"].interval("all_log_loss"),
            "lower",
        ),
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _text(found: Interval | None) -> str:
    return "-" if found is None else str(found)


def _millions(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.3f}M"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _ratio(found: Outcome, measure: Outcome, column: str) -> str:
    ours, theirs = found.least(column), measure.least(column)
    return f"{ours / theirs:.2f}" if ours and theirs else "-"
