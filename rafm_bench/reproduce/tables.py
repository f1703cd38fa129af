"""Tables 2, 3 and 4, and figure 3: the paper's figures beside ours, and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.reproduce.bound import tell_bound
from rafm_bench.reproduce.cells import MODELS
from rafm_bench.reproduce.judges import judge_block
from rafm_bench.reproduce.paper import (
    NOT_REBUILT,
    PAPER,
    SIZES,
    Printed,
    printed_as,
    printed_for,
)
from rafm_bench.reproduce.section import Beside, Section, Table, short_number
from rafm_bench.reproduce.sets import SETS

if TYPE_CHECKING:
    from rafm_bench.reproduce.block import Block
    from rafm_bench.reproduce.results import Interval, Outcome
    from rafm_datasets import PreparedData

NOTHING = Printed(0.0)
OURS_ALONE = {
    "frappe": "Not in the paper: RaFM 128,256, and FM 94, 130 and 152, which have as "
    "many parameters as a RaFM."
}
MILLION = 1e6


def block_section(block: Block, data: PreparedData) -> Section:
    """Return table, verdicts and remarks of an experiment on a data set."""
    name = block.found.data_set.name
    notes = [told[name] for told in (OURS_ALONE, NOT_REBUILT) if name in told]
    notes += [
        f"{one.cell.label}, {one.cell.protocol}: {error}"
        for one in block.outcomes.values()
        for error in one.errors
    ]
    notes += [
        told
        for (model, protocol), one in block.outcomes.items()
        if block.is_ratings and model.startswith("rafm")
        for told in tell_bound(one, block.where(protocol))
    ]
    return Section(
        block.found.data_set.title,
        f"{block.found.told[0].upper()}{block.found.told[1:]}. {_sizes(name, data)}",
        tables=[_table(block)],
        verdicts=judge_block(block),
        notes=notes,
    )


def printed_table(name: str) -> Table:
    """Return what the paper prints for a data set that is not there."""
    rows: list[list[str | Beside]] = [
        [
            MODELS[model.partition("-")[0]],
            _around(one.loss, one.loss_around),
            one.parameters,
            _times(one.train_time),
            _times(one.test_time),
        ]
        for model, one in PAPER[name].items()
    ]
    header = ["as printed", "RMSE", "parameters", "train time", "test time"]
    return Table(header, rows, n_words=1)


def _sizes(name: str, data: PreparedData) -> str:
    """Say how large the data are, and how large the paper's."""
    rows = " / ".join(f"{data.rows(one):,}" for one in ("train", "valid", "test"))
    told = f"Rows of training / validation / test: {rows}; {data.n_features:,} features"
    other = printed_as(name)
    if other not in SIZES:
        return f"{told}."
    *counts, n_features = SIZES[other]
    theirs = " / ".join(f"{count:,}" for count in counts)
    told = f"{told} (the paper's {SETS[other].title}: {theirs}; {n_features:,})."
    if other != name:
        told += f" What the paper prints for {SETS[other].title} stands beside ours."
    return told


def _table(block: Block) -> Table:
    loss = "RMSE" if block.is_ratings else "log loss"
    fm = block.outcomes[block.measure, block.protocols[0]].cell.label
    header = ["model", "protocol", loss, *([] if block.is_ratings else ["AUC"])]
    header += ["all rows", "clean - paper", f"to {fm}", "parameters", "in F_2"]
    header += ["train time", "validation time (test time)", "rate", "L2", "best epoch"]
    rows = [
        _row(block, model, protocol)
        for model in block.models
        for protocol in block.protocols
        if (model, protocol) in block.outcomes
    ]
    return Table(header, rows)


def _row(block: Block, model: str, protocol: str) -> list[str | Beside]:
    found = block.outcomes[model, protocol]
    fm = block.outcomes[block.measure, protocol]
    name, share = block.found.data_set.name, block.shares.get((model, protocol))
    printed = printed_for(name, model) or NOTHING
    theirs = printed_for(name, block.measure) or NOTHING
    auc = Beside(_text(found.auc), _around(printed.auc, printed.auc_around))
    return [
        found.cell.label,
        protocol,
        Beside(_text(found.loss), _around(printed.loss, printed.loss_around)),
        *([] if block.is_ratings else [auc]),
        _figure(found.mean(f"all_{found.loss_name}")) if protocol == "paper" else "",
        _gap(block, model) if protocol == "clean" else "",
        ""
        if model == block.measure
        else Beside(
            _change(_mean(found.loss), _mean(fm.loss)),
            _change(printed.loss, theirs.loss) if printed.loss else "",
        ),
        Beside(_count(found.n_parameters), printed.parameters),
        "" if share is None else str(share),
        Beside(_ratio(found, fm, "train_seconds"), _times(printed.train_time)),
        Beside(_ratio(found, fm, "score_seconds"), _times(printed.test_time)),
        *_options(found),
    ]


def _options(found: Outcome) -> list[str | Beside]:
    if not found.rows:
        return ["-", "-", "-"]
    row = found.rows[0]
    best = [one["best_epoch"] for one in found.rows]
    told = "-".join(f"{epoch}" for epoch in sorted({min(best), max(best)}))
    return [
        short_number(row["learning_rate"]),
        short_number(row["l2"]),
        f"{told} of {row['epochs']}",
    ]


def _gap(block: Block, model: str) -> str:
    clean = block.outcomes[model, "clean"].loss
    other = block.outcomes.get((model, "paper"))
    paper = None if other is None else other.loss
    if clean is None or paper is None:
        return ""
    return f"{clean.mean - paper.mean:+.4f}"


def _mean(found: Interval | None) -> float | None:
    return None if found is None else found.mean


def _change(ours: float | None, theirs: float | None) -> str:
    if not ours or not theirs:
        return "-"
    return f"{100 * (ours / theirs - 1):+.1f} %"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _around(value: float | None, around: float | None) -> str:
    return _figure(value or None) + (f" ± {around:.4f}" if around else "")


def _text(found: Interval | None) -> str:
    return "-" if found is None else str(found)


def _count(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count / MILLION:.3f}M" if count >= MILLION / 10 else f"{count / 1e3:.1f}k"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ratio(found: Outcome, measure: Outcome, column: str) -> str:
    ours, theirs = found.mean(column), measure.mean(column)
    return f"{ours / theirs:.2f}" if ours and theirs else "-"
