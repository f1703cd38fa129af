"""The claims of tables 2, 3 and 4 and of figure 3, judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.reproduce.bound import judge_bound
from rafm_bench.reproduce.cells import S_CELLS
from rafm_bench.reproduce.verdicts import (
    ON_ABSENT,
    OPEN,
    Verdict,
    beats,
    judge_at_most,
    judge_better,
    judge_less,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.block import Block
    from rafm_bench.reproduce.results import Outcome

WANTED = 0.130
"""The log loss that RaFM is to have on Frappe under the clean protocol."""
AS_MANY = 0.95
"""Share of RaFM's parameters from which on an FM has as many."""
RIVALS = {"fm": "FM", "difacto": "DiFacto", "mrma": "MRMA"}
FEWER = "RaFM has fewer parameters than FM"
FASTER = "RaFM trains faster than FM"
EQUAL = "RaFM is better than an FM of as many parameters or more"
ANY_RANK = "RaFM is better than FM of any rank (figure 3)"
LOW = "RaFM-low is better than FM of its rank (figure 3)"
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
    if block.experiment == "table2":
        verdicts = _of_s(of, where)
    elif block.experiment == "fig3":
        verdicts = _of_ranks(of, where)
    else:
        verdicts = _of_table(block, of, where)
    if block.experiment != "fig3":
        verdicts += _of_equals(of, rafms, of[block.measure], where)
    if block.found.data_set.name == "frappe" and protocol == "clean":
        verdicts.append(_aim(rafms, where))
    return [*verdicts, judge_bound(rafms, where)._replace(kind=BOUND)]


def _of_table(block: Block, of: dict[str, Outcome], where: str) -> list[Verdict]:
    rafm = next(one for model, one in of.items() if model.startswith("rafm"))
    verdicts = []
    for model, rival in of.items():
        kind = model.split("-")[0]
        if model == block.measure or kind in ("difacto", "mrma"):
            claim = f"{rafm.cell.label} is better than {rival.cell.label}"
            verdicts += beats(claim, where, rafm, rival, better(kind))
    return verdicts + _costs(rafm, of[block.measure], where)


def _costs(ours: Outcome, fm: Outcome, where: str) -> list[Verdict]:
    name, other = ours.cell.label, fm.cell.label
    return [
        judge_less(
            f"{name} has fewer parameters than {other}",
            where,
            ours.n_parameters,
            fm.n_parameters,
            "parameters",
        )._replace(kind=FEWER),
        judge_less(
            f"{name} trains faster than {other}",
            where,
            ours.least("train_seconds"),
            fm.least("train_seconds"),
            "seconds an epoch",
        )._replace(kind=FASTER),
    ]


def _of_equals(
    of: dict[str, Outcome], rafms: Sequence[Outcome], measure: Outcome, where: str
) -> list[Verdict]:
    """Judge each RaFM against the least FM that has as many parameters, or more."""
    fms = sorted(
        (one for model, one in of.items() if model.startswith("fm")),
        key=lambda one: one.n_parameters or 0,
    )
    verdicts = []
    for rafm in rafms:
        least = AS_MANY * (rafm.n_parameters or 0)
        fm = next((one for one in fms if (one.n_parameters or 0) >= least), None)
        if fm is None or not rafm.n_parameters or not fm.n_parameters:
            continue
        if fm is not measure or rafm is not rafms[0]:
            ratio = fm.n_parameters / rafm.n_parameters
            name = f"{fm.cell.label} of {ratio:.2f} times its parameters"
            claim = f"{rafm.cell.label} is better than {name}"
            verdicts += beats(claim, where, rafm, fm, EQUAL)
    return verdicts


def _aim(rafms: Sequence[Outcome], where: str) -> Verdict:
    best = min(rafms, key=lambda one: one.mean("valid_log_loss") or 1.0)
    claim = f"RaFM has a log loss of at most {WANTED:.3f} (an aim of this program)"
    return judge_at_most(
        f"{claim}: {best.cell.label}", where, best.loss, WANTED
    )._replace(kind=AIM)


def _of_s(of: dict[str, Outcome], where: str) -> list[Verdict]:
    fm, verdicts = of["fm-512"], []
    for name in S_CELLS:
        ours = of[name]
        claim = f"{ours.cell.label} is better than FM 512"
        verdicts += beats(claim, where, ours, fm, better("fm"))[:1]
        verdicts += _costs(ours, fm, where)[: 1 if name == "rafm-s4" else 2]
    return verdicts


def _of_ranks(of: dict[str, Outcome], where: str) -> list[Verdict]:
    rafm = of["rafm-s1"]
    fms = [one for model, one in of.items() if model.startswith("fm") and one.loss]
    if not fms:
        return []
    best = min(fms, key=lambda one: one.mean("valid_log_loss") or 1.0)
    claim = f"RaFM 32,512 is better than FM of any rank (the best: {best.cell.label})"
    low = rafm.interval("level_1_log_loss")
    return [
        beats(claim, where, rafm, best, ANY_RANK)[0]._replace(kind=ANY_RANK),
        judge_better(
            "RaFM-low (B_11, rank 32) is better than FM 32 in log loss",
            where,
            low,
            of["fm-32"].interval("all_log_loss"),
            "lower",
        )._replace(kind=LOW),
    ]
