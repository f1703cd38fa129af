"""Figure 4: AUC over parameters under FTRL, and whether RaFM needs fewer than FM."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.report import picture
from rafm_bench.reproduce import drawings
from rafm_bench.reproduce.paper import BIG_FM, SMALL_RAFM
from rafm_bench.reproduce.results import Interval, outcome
from rafm_bench.reproduce.section import Beside, Section, Table
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.reproduce.results import Outcome
    from rafm_bench.reproduce.sets import Found
    from rafm_bench.reproduce.work import Place

SPARSE = "RaFM at 1.55 times LR's parameters gains what FM needs 7 times for (figure 4)"
CLAIMED = (
    "The paper's own data, 1.7 billion rows of a company, are not public; there RaFM's "
    "AUC is about 1 % above LR's at 1.55 times its parameters, and FM needs 7 times."
)
PLANTED = "The scales of the planted model were chosen so that models come apart. "
AT_MOST = 1.2 * SMALL_RAFM
"""Parameters up to which a RaFM is at about those of the paper."""
PRINTED = BIG_FM / SMALL_RAFM


class Point(NamedTuple):
    """A model of figure 4 at one strength of L1; `size` is in LR's parameters."""

    label: str
    l1: float
    size: float
    auc: Interval
    valid_auc: float


class Chosen(NamedTuple):
    """The points that are compared, each at the L1 that validation likes best.

    RaFM's is the best of those of about the paper's size; None where it has none.
    """

    lr: Point
    rafm: Point | None
    fms: list[Point]


def sparse_section(found: Found, cells: Sequence[Cell], place: Place) -> Section:
    """Tell AUC over parameters in units of LR's, and whether RaFM needs fewer."""
    outcomes = [outcome(cell, place) for cell in cells]
    errors = [
        f"{one.cell.label}, L1 {one.cell.changed['l1']:g}: {error}"
        for one in outcomes
        for error in one.errors
    ]
    points, title = read_points(outcomes), found.data_set.title
    chosen = choose(points)
    if chosen is None:
        none = "no run of LR without L1, of a RaFM or of an FM came to an end"
        return Section(title, notes=[none, *errors])
    told = [chosen.lr, chosen.rafm, *chosen.fms]
    rows: list[list[str | Beside]] = [
        [
            one.label,
            f"{one.l1:g}",
            f"{one.size:.2f}",
            str(one.auc),
            f"{one.valid_auc:.4f}",
            "yes" if one in told else "",
        ]
        for one in points
    ]
    header = ["model", "L1", "parameters in LR's", "test AUC", "validation AUC"]
    drawn = picture(
        f"AUC over parameters, {found.data_set.title}",
        "Parameters that are not 0, in units of LR's without L1; a line joins the "
        "strengths of L1 of a model, bars are 95 % intervals, digits FM's ranks. "
        "Dotted: where the paper has RaFM and the FM that equals it.",
        drawings.sparse_plot(points),
    )
    return Section(
        title,
        f"{found.told[0].upper()}{found.told[1:]}. FTRL; ranks 1, 2, 4 and 8. "
        f"{PLANTED * (found.choice.kind == 'generated')}{CLAIMED}",
        [Table([*header, "compared"], rows)],
        [judge_sparse(chosen, points, found.data_set.title)],
        [drawn],
        errors,
    )


def read_points(outcomes: Sequence[Outcome]) -> list[Point]:
    """Return the points of the cells that have runs; none without LR's size."""
    done = [one for one in outcomes if one.rows and one.interval("all_auc")]
    plain = [
        one for one in done if one.cell.model == "lr" and not one.cell.changed["l1"]
    ]
    unit = plain[0].n_parameters if plain else None
    if not unit:
        return []
    return [
        Point(
            one.cell.label,
            one.cell.changed["l1"],
            (one.mean("n_nonzero") or 0.0) / unit,
            auc,
            one.mean("valid_auc") or 0.0,
        )
        for one in done
        if (auc := one.interval("all_auc")) is not None
    ]


def choose(points: Sequence[Point]) -> Chosen | None:
    """Choose the L1 of LR, RaFM and each FM by validation; None where one is absent."""
    by_label: dict[str, list[Point]] = {}
    for one in points:
        by_label.setdefault(one.label, []).append(one)
    best = {label: max(some, key=_by_validation) for label, some in by_label.items()}
    fms = [one for label, one in best.items() if label.startswith("FM")]
    rafms = [one for one in points if one.label.startswith("RaFM")]
    if "LR" not in best or not rafms or not fms:
        return None
    near = [one for one in rafms if one.size <= AT_MOST]
    rafm = max(near, key=_by_validation, default=None)
    return Chosen(best["LR"], rafm, sorted(fms, key=lambda one: one.size))


def judge_sparse(chosen: Chosen, points: Sequence[Point], where: str) -> Verdict:
    """Judge by the least FM that is not surely below RaFM, and the least surely above.

    FM needs more parameters than the FMs that are surely below, and no more than one
    that is surely above: that bounds its parameters, in RaFM's, on either side.
    """
    claim = (
        f"RaFM at about {SMALL_RAFM} times LR's parameters gains what FM needs "
        f"{BIG_FM:g} times for"
    )
    lr, ours, fms = chosen
    if ours is None:
        why = f"no strength of L1 brings RaFM to {AT_MOST:.2f} times LR's or fewer"
        return Verdict(claim, OPEN, where, why, SPARSE)
    gain = ours.auc.mean / lr.auc.mean - 1
    told = (
        f"RaFM at {ours.size:.2f} times has AUC {ours.auc}, {100 * gain:+.1f} % on LR"
    )
    if any(one.auc.half is None for one in (lr, ours, *fms)):
        return Verdict(claim, OPEN, where, f"{told}, of one seed: no interval", SPARSE)
    equal = next((one for one in fms if one.auc.high >= ours.auc.low), None)
    above = next((one for one in fms if one.auc.low > ours.auc.high), None)
    why = "; ".join([told, *_of_fms(ours, fms, equal, above), *_of_any(ours, points)])
    most = above.size / ours.size if above else None
    least = (equal or fms[-1]).size / ours.size
    if ours.auc.low <= lr.auc.high:
        return Verdict(claim, NO, where, f"{why}; no gain on LR shows", SPARSE)
    if least >= PRINTED:
        return Verdict(claim, YES, where, why, SPARSE)
    if equal is None:
        return Verdict(claim, OPEN, where, f"{why}; no larger FM was run", SPARSE)
    contrary = most is not None and most < 1
    return Verdict(claim, NO, where, why, SPARSE, contrary=contrary)


def _of_fms(
    ours: Point, fms: Sequence[Point], equal: Point | None, above: Point | None
) -> list[str]:
    """Tell the bounds of the parameters that FM needs, each at validation's L1."""
    if equal is None:
        return [f"every FM is below it, up to {fms[-1].size:.2f} times"]
    told = [
        f"{equal.label} at {equal.size:.2f} times, {equal.auc}, is the least FM not "
        f"below it: FM needs at least {equal.size / ours.size:.1f} times RaFM's "
        f"parameters (the paper: {PRINTED:.1f})"
    ]
    if above is None:
        return [*told, "no FM is above it, so that there is no upper bound"]
    ratio = above.size / ours.size
    return [
        *told,
        f"at most {ratio:.1f} times, as {above.label}, {above.auc}, is above",
    ]


def _of_any(ours: Point, points: Sequence[Point]) -> list[str]:
    """Tell the least FM of any L1 whose test AUC reaches RaFM's, which test chose."""
    fms = [one for one in points if one.label.startswith("FM")]
    reach = [one.size for one in fms if one.auc.mean >= ours.auc.mean]
    if not reach:
        return []
    return [f"of any L1, chosen on test, an FM at {min(reach):.2f} times has its AUC"]


def _by_validation(point: Point) -> float:
    return point.valid_auc
