"""The claims of tables 2, 3 and 4 and of figure 3, judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.reproduce.block import LOW, WHOLE
from rafm_bench.reproduce.bound import judge_bound
from rafm_bench.reproduce.verdicts import (
    ON_ABSENT,
    OPEN,
    Verdict,
    beats,
    judge_at_most,
    judge_better,
    judge_faster,
    judge_fewer,
    with_cut,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.block import Block
    from rafm_bench.reproduce.results import Outcome

WANTED = 0.130
"""The log loss that RaFM is to have on Frappe under the clean protocol."""
AS_MANY = 0.95
"""Share of RaFM's parameters from which on an FM has as many."""
SLOW = "rafm-s4"
"""Of S1 to S4 the one that the paper does not print as faster than FM."""
RIVALS = {"fm": "FM", "difacto": "DiFacto", "mrma": "MRMA"}
FEWER = "RaFM has fewer parameters than FM"
FASTER = "RaFM trains faster than FM"
EQUAL = "RaFM is better than an FM of as many parameters or more"
ANY_RANK = "RaFM is better than FM of any rank (figure 3)"
LOW_RANK = "RaFM-low is better than FM of its rank (figure 3)"
BOUND = "training bounds the loss of every B_1k (section 4.2)"
AIM = "RaFM's log loss is at most 0.130 on Frappe (an aim of this program)"


def judge_block(block: Block) -> list[Verdict]:
    """Judge the claims of an experiment on a data set, the paper's protocol first."""
    if block.found.choice.kind == "sample":
        return [_of_sample(block)]
    return [
        one._replace(protocol=protocol)
        for protocol in block.protocols
        for one in _judge(block, protocol)
    ]


def better(kind: str) -> str:
    """Name the claims that RaFM is better than a kind of model."""
    return f"RaFM is better than {RIVALS[kind]}"


def _of_sample(block: Block) -> Verdict:
    title = block.found.data_set.title
    why = "a sample of some thousand rows cannot tell models apart"
    claim = f"RaFM is better than its rivals on {title}"
    return Verdict(claim, OPEN, f"{title} (sample)", why, ON_ABSENT)


def _judge(block: Block, protocol: str) -> list[Verdict]:
    of, where = block.of(protocol), block.where(protocol)
    rafms = [one for model, one in of.items() if model.startswith("rafm")]
    verdicts = [
        one
        for rafm in rafms
        for one in _unless_empty(block, rafm, _of_rafm(block, rafm, protocol))
    ]
    if block.found.data_set.name == "frappe" and protocol == "clean":
        verdicts.append(_aim(rafms, where))
    return verdicts


def _of_rafm(block: Block, rafm: Outcome, protocol: str) -> list[Verdict]:
    """Judge the claims of an experiment that are of one RaFM."""
    of, where = block.of(protocol), block.where(protocol)
    if block.experiment == "fig3":
        verdicts = _of_ranks(rafm, of, where)
    else:
        verdicts = _of_rivals(block, rafm, protocol)
    if block.is_ratings:
        return verdicts
    return [*verdicts, judge_bound(rafm, where)._replace(kind=BOUND)]


def _of_rivals(block: Block, rafm: Outcome, protocol: str) -> list[Verdict]:
    of, where = block.of(protocol), block.where(protocol)
    measure, verdicts = of[block.measure], []
    if block.experiment == "table2":
        verdicts = _of_s(rafm, measure, where)
    elif rafm is next(one for model, one in of.items() if model.startswith("rafm")):
        verdicts = _of_table(rafm, of, measure, where)
    equal = _least_equal(rafm, of)
    if equal is None or (equal is measure and verdicts):
        return verdicts
    return verdicts + _of_equal(rafm, equal, where)


def _unless_empty(
    block: Block, rafm: Outcome, verdicts: list[Verdict]
) -> list[Verdict]:
    """Leave the claims of a RaFM open whose F_2 holds nearly nothing."""
    share = block.shares.get((rafm.cell.model, rafm.cell.protocol))
    if share is None or not share.is_empty:
        return verdicts
    why = (
        f"F_2 of {rafm.cell.label} has {share} of features / entries: it is an FM of "
        "its lowest rank, and tells nothing of ranks"
    )
    return [one._replace(result=OPEN, why=why, contrary=False) for one in verdicts]


def _of_table(
    rafm: Outcome, of: dict[str, Outcome], measure: Outcome, where: str
) -> list[Verdict]:
    verdicts = []
    for model, rival in of.items():
        kind = model.split("-")[0]
        if rival is measure or kind in ("difacto", "mrma"):
            claim = f"{rafm.cell.label} is better than {rival.cell.label}"
            verdicts += beats(claim, where, rafm, rival, better(kind))
    return verdicts + _costs(rafm, measure, where)


def _costs(ours: Outcome, fm: Outcome, where: str) -> list[Verdict]:
    name, other = ours.cell.label, fm.cell.label
    sizes = (ours.n_parameters, fm.n_parameters)
    fewer = judge_fewer(f"{name} has fewer parameters than {other}", where, *sizes)
    faster = judge_faster(f"{name} trains faster than {other}", where, ours, fm)
    return [fewer._replace(kind=FEWER), faster._replace(kind=FASTER)]


def _least_equal(rafm: Outcome, of: dict[str, Outcome]) -> Outcome | None:
    """Return the least FM that has as many parameters as a RaFM, or more."""
    least = AS_MANY * (rafm.n_parameters or 0)
    fms = [
        one
        for model, one in of.items()
        if model.startswith("fm") and (one.n_parameters or 0) >= least > 0
    ]
    return min(fms, key=lambda one: one.n_parameters or 0, default=None)


def _of_equal(rafm: Outcome, fm: Outcome, where: str) -> list[Verdict]:
    ratio = (fm.n_parameters or 0) / (rafm.n_parameters or 1)
    name = f"{fm.cell.label} of {ratio:.2f} times its parameters"
    claim = f"{rafm.cell.label} is better than {name}"
    return beats(claim, where, rafm, fm, EQUAL)


def _aim(rafms: Sequence[Outcome], where: str) -> Verdict:
    best = min(rafms, key=lambda one: one.mean("valid_log_loss") or 1.0)
    claim = f"RaFM has a log loss of at most {WANTED:.3f} (an aim of this program)"
    return judge_at_most(
        f"{claim}: {best.cell.label}", where, best.loss, WANTED
    )._replace(kind=AIM)


def _of_s(ours: Outcome, fm: Outcome, where: str) -> list[Verdict]:
    claim = f"{ours.cell.label} is better than {fm.cell.label}"
    loss, *_ = beats(claim, where, ours, fm, better("fm"))
    fewer, faster = _costs(ours, fm, where)
    return [loss, fewer, *[faster] * (ours.cell.model != SLOW)]


def _of_ranks(rafm: Outcome, of: dict[str, Outcome], where: str) -> list[Verdict]:
    """Judge figure 3 by the loss of all rows, which is what B_11 has too."""
    fms = [one for model, one in of.items() if model.startswith("fm") and one.loss]
    if not fms:
        return []
    best = min(fms, key=lambda one: one.mean("valid_log_loss") or 1.0)
    name = f"FM of any rank (the best by validation: {best.cell.label})"
    any_rank = judge_better(
        f"RaFM 32,512 is better than {name} in log loss of all rows",
        where,
        rafm.interval(WHOLE),
        best.interval(WHOLE),
        "lower",
    )
    low = judge_better(
        "RaFM-low (B_11, rank 32) is better than FM 32 in log loss of all rows",
        where,
        rafm.interval(LOW),
        of["fm-32"].interval(WHOLE),
        "lower",
    )
    return [
        with_cut(any_rank, rafm, best)._replace(kind=ANY_RANK),
        with_cut(low, rafm, of["fm-32"])._replace(kind=LOW_RANK),
    ]
