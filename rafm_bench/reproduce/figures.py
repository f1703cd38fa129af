"""Table 1 and figures 1, 3 and 4 as sections of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rafm_bench import plots
from rafm_bench.report import picture
from rafm_bench.reproduce import drawings
from rafm_bench.reproduce.regimes import BOUNDS, LEVELS, LIMITS
from rafm_bench.reproduce.results import Interval, outcome
from rafm_bench.reproduce.section import Section, Table
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict
from rafm_bench.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.reproduce.results import Outcome
    from rafm_bench.reproduce.sets import Found
    from rafm_bench.reproduce.tables import Block
    from rafm_bench.reproduce.work import Place
    from rafm_datasets import PreparedData

CLOSE = 1.5
"""How far a measured cost may be above a bound of the paper, as a factor."""
SMALL_RAFM, BIG_FM = 1.55, 7.0
"""Experiment B: RaFM at 1.55 times LR's parameters gains what FM needs 7 times for."""


class Point(NamedTuple):
    """A model of figure 4 at one strength of L1; `size` is in LR's parameters."""

    label: str
    l1: float
    size: float
    auc: Interval
    valid_auc: float


def regimes_section(found: list[dict[str, Any]]) -> Section:
    """Tell measured costs of the four regimes beside those of theory."""
    base = {(one["ranks"], one["sets"]): one for one in found if one["m"] == LEVELS[0]}
    rows, verdicts = [], []
    for ranks, sets in BOUNDS:
        own = [one for one in found if (one["ranks"], one["sets"]) == (ranks, sets)]
        first = base[ranks, sets]
        ratios = {
            what: [one[what] / first[what] for one in own]
            for what in ("theory", "train", "score")
        }
        name = f"{ranks} D_k, {sets} |F_k|"
        for what, told in (
            ("theory", "sum D_k |F_k|"),
            ("train", "training"),
            ("score", "scoring"),
        ):
            rows.append([name, told, *(f"{ratio:.2f}" for ratio in ratios[what])])
        verdicts.append(_judge_regime(name, BOUNDS[ranks, sets], ratios))
    header = ["regime", "cost", *(f"m = {m}" for m in LEVELS)]
    lead = (
        "The cost of RaFM with m levels in that of one level, ranks up to 512: summed "
        "from D_k and |F_k|, and as timed in training and in scoring."
    )
    drawn = picture("Cost over levels", "", drawings.regimes_plot(found))
    return Section(
        "Table 1: cost in four regimes",
        lead,
        [Table(header, rows)],
        verdicts,
        [drawn._replace(wide=True)],
    )


def _judge_regime(name: str, bound: str, ratios: dict[str, list[float]]) -> Verdict:
    limits = [LIMITS[bound](m) for m in LEVELS]
    over = [seen / limit for seen, limit in zip(ratios["train"], limits, strict=True)]
    worst = over.index(max(over))
    why = (
        f"training with m = {LEVELS[worst]} takes {ratios['train'][worst]:.2f} times "
        f"that of one level, where the bound is {limits[worst]:.2f}"
    )
    if max(over) > CLOSE:
        why += "; each level also has a cost of its own that no rank lowers"
    claim = f"With {name} the cost is {bound}"
    return Verdict(claim, YES if max(over) <= CLOSE else NO, "generated rows", why)


def frequencies_section(prepared: Sequence[tuple[Found, PreparedData]]) -> Section:
    """Draw how often features are seen in each data set."""
    pictures, rows = [], []
    for found, data in prepared:
        counts = data.train_counts()
        title = f"Frequencies, {found.data_set.title}"
        drawn = picture(title, "", plots.frequency_plot(summarize(data)))
        pictures.append(drawn._replace(wide=True))
        seen = counts[counts > 0]
        few = (seen <= 10).mean()
        top = seen[: max(1, len(seen) // 100)].sum() / seen.sum()
        rows.append(
            [
                found.data_set.title,
                found.choice.kind,
                f"{len(seen):,}",
                f"{data.rows('train'):,}",
                f"{100 * few:.1f} %",
                f"{100 * top:.1f} %",
            ]
        )
    header = ["data", "kind", "features", "training rows", "seen 10 times or fewer"]
    return Section(
        "Figure 1: how often features are seen",
        "Both axes are logarithmic: a few features are seen very often, and most seldom"
        ", which is what ranks by frequency are for.",
        [Table([*header, "entries of the top 1 %"], rows)],
        [],
        pictures,
    )


def ranks_pictures(block: Block) -> list[Any]:
    """Draw figure 3: FM by rank beside RaFM and its B_11, under each protocol."""
    return [
        picture(
            f"{block.where(protocol)}: loss by rank",
            "Bars are 95 % intervals; B_11 is RaFM cut off at its lowest rank.",
            drawings.ranks_plot(block, protocol),
        )
        for protocol in block.protocols
        if all(block.outcomes[model, protocol].loss for model in block.models)
    ]


def sparse_section(found: Found, cells: Sequence[Cell], place: Place) -> Section:
    """Tell AUC over parameters in units of LR's, and whether RaFM needs fewer."""
    points = _points([outcome(cell, place) for cell in cells])
    title = f"Figure 4: {found.data_set.title}"
    if not points:
        return Section(title, notes=["no run came to an end"])
    rows = [
        [one.label, f"L1 {one.l1:g}", f"{one.size:.2f}", str(one.auc)] for one in points
    ]
    drawn = picture(
        f"AUC over parameters, {found.data_set.title}",
        "Parameters that are not 0, in units of LR's without L1; a line joins the "
        "strengths of L1.",
        drawings.sparse_plot(points),
    )
    return Section(
        title,
        f"{found.told[0].upper()}{found.told[1:]}. FTRL; ranks 1, 2, 4 and 8.",
        [Table(["model", "options", "parameters in LR's", "test AUC"], rows)],
        [_judge_sparse(points, found.data_set.title)],
        [drawn],
    )


def _points(outcomes: Sequence[Outcome]) -> list[Point]:
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


def _judge_sparse(points: Sequence[Point], where: str) -> Verdict:
    """Judge the claim by the RaFM that validation likes best near its size."""
    claim = (
        f"RaFM at about {SMALL_RAFM} times LR's parameters gains what FM needs "
        f"{BIG_FM:g} times for"
    )
    lr = max((one for one in points if one.label == "LR"), key=_by_validation)
    rafm = [one for one in points if one.label.startswith("RaFM")]
    fms = sorted(
        (one for one in points if one.label.startswith("FM")), key=lambda one: one.size
    )
    if not rafm or not fms:
        return Verdict(claim, OPEN, where, "no run of RaFM or FM came to an end")
    near = [one for one in rafm if one.size <= 1.2 * SMALL_RAFM]
    ours = max(near or [min(rafm, key=lambda one: one.size)], key=_by_validation)
    gain = ours.auc.mean - lr.auc.mean
    told = (
        f"RaFM at {ours.size:.2f} times has AUC {ours.auc.mean:.4f}, {gain:+.4f} on LR"
    )
    equal = next((one for one in fms if one.auc.mean >= ours.auc.mean), None)
    if equal is None:
        why = f"{told}; no FM up to {fms[-1].size:.2f} times has as much"
        return Verdict(claim, YES if near and gain > 0 else NO, where, why)
    ratio, printed = equal.size / ours.size, BIG_FM / SMALL_RAFM
    why = (
        f"{told}; {equal.label} has as much at {equal.size:.2f} times, {ratio:.1f} "
        f"times RaFM's (the paper: {printed:.1f})"
    )
    enough = ratio >= printed
    return Verdict(claim, YES if near and gain > 0 and enough else NO, where, why)


def _by_validation(point: Point) -> float:
    return point.valid_auc
