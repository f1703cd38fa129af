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
    """A claim, what became of it, on which data under which protocol, and why.

    Attributes
    ----------
    kind : what claims of a kind have in common, whatever data and models they are on
    protocol : under which it was tested; empty where there is but one way
    contrary : the intervals, or the counts, are apart the other way round
    """

    claim: str
    result: Result
    where: str
    why: str
    kind: str = ""
    protocol: str = ""
    contrary: bool = False

    @property
    def told(self) -> str:
        """Return the result, and whether the other way round holds."""
        return f"{self.result}{', reversed' * self.contrary}"


ON_ABSENT = "RaFM is better than its rivals, on data absent or but a sample"


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
        why = f"{told}: it is the other way round"
        return Verdict(claim, NO, where, why, contrary=True)
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


def judge_fewer(
    claim: str, where: str, ours: int | None, theirs: int | None
) -> Verdict:
    """Judge that a model has fewer parameters than another."""
    if not ours or not theirs:
        return Verdict(claim, OPEN, where, "no run came to an end")
    result = YES if ours < theirs else NO
    why = f"{ours / theirs:.2f} times the parameters"
    return Verdict(claim, result, where, why, contrary=ours > theirs)


def judge_faster(claim: str, where: str, ours: Outcome, theirs: Outcome) -> Verdict:
    """Judge that an epoch of a cell takes less time, by each seed's least epoch."""
    mine, other = (one.interval("train_seconds") for one in (ours, theirs))
    verdict = judge_better(claim, where, mine, other, "lower")
    if mine is None or other is None:
        return verdict
    times = f"{mine.mean / other.mean:.2f} times the seconds an epoch"
    return verdict._replace(why=f"{times}: {verdict.why}")


def beats(
    claim: str, where: str, ours: Outcome, theirs: Outcome, kind: str
) -> list[Verdict]:
    """Judge that a cell has less loss than another and, for clicks, more AUC."""
    word = "RMSE" if ours.loss_name == "rmse" else "log loss"
    loss = judge_better(f"{claim} in {word}", where, ours.loss, theirs.loss, "lower")
    told = [with_cut(loss, ours, theirs)._replace(kind=f"{kind} in loss")]
    if ours.auc is not None:
        auc = judge_better(f"{claim} in AUC", where, ours.auc, theirs.auc, "higher")
        told.append(with_cut(auc, ours, theirs)._replace(kind=f"{kind} in AUC"))
    return told


def with_cut(verdict: Verdict, *outcomes: Outcome) -> Verdict:
    """Add which of the models were still getting better when their epochs ended."""
    cut = [one.cell.label for one in outcomes if one.was_cut]
    if not cut:
        return verdict
    why = f"{verdict.why}; {' and '.join(cut)} still got better at the last epoch"
    return verdict._replace(why=why)
