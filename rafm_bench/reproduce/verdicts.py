"""Claims of the paper against what was measured: reproduced or not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from rafm_bench.reproduce.results import Interval, Outcome

Result = Literal["reproduced", "not reproduced", "not testable here"]
YES: Result = "reproduced"
NO: Result = "not reproduced"
OPEN: Result = "not testable here"


class Verdict(NamedTuple):
    """A claim, what became of it, on which data under which protocol, and why."""

    claim: str
    result: Result
    where: str
    why: str


def judge_better(
    claim: str, where: str, ours: Interval | None, theirs: Interval | None, way: str
) -> Verdict:
    """Judge that `ours` is lower (or higher, by `way`) than `theirs`, by intervals."""
    if ours is None or theirs is None:
        return Verdict(claim, OPEN, where, "no run came to an end")
    told = f"{ours} against {theirs}"
    if ours.half is None or theirs.half is None:
        return Verdict(claim, OPEN, where, f"{told}, of one seed: no interval")
    low, high = (ours, theirs) if way == "lower" else (theirs, ours)
    if low.high < high.low:
        return Verdict(claim, YES, where, f"{told}: the intervals do not overlap")
    if high.high < low.low:
        return Verdict(claim, NO, where, f"{told}: it is the other way round")
    return Verdict(claim, NO, where, f"{told}: the intervals overlap")


def judge_at_most(
    claim: str, where: str, ours: Interval | None, most: float
) -> Verdict:
    """Judge that a mean is at most a number."""
    if ours is None:
        return Verdict(claim, OPEN, where, "no run came to an end")
    sure = (
        "" if ours.high <= most or ours.mean > most else "; the interval reaches over"
    )
    return Verdict(claim, YES if ours.mean <= most else NO, where, f"{ours}{sure}")


def judge_less(
    claim: str, where: str, ours: float | None, theirs: float | None, unit: str
) -> Verdict:
    """Judge that a count or a time is less than another."""
    if not ours or not theirs:
        return Verdict(claim, OPEN, where, "no run came to an end")
    result = YES if ours < theirs else NO
    return Verdict(claim, result, where, f"{ours / theirs:.2f} times the {unit}")


def beats(claim: str, where: str, ours: Outcome, theirs: Outcome) -> list[Verdict]:
    """Judge that a cell has less loss than another and, for clicks, more AUC."""
    word = "RMSE" if ours.loss_name == "rmse" else "log loss"
    told = [judge_better(f"{claim} in {word}", where, ours.loss, theirs.loss, "lower")]
    if ours.auc is not None:
        told.append(
            judge_better(f"{claim} in AUC", where, ours.auc, theirs.auc, "higher")
        )
    return told
