"""Table 1 and figures 1 and 3 as sections of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rafm_bench import plots
from rafm_bench.canvas import SIZE
from rafm_bench.report import picture
from rafm_bench.reproduce import drawings
from rafm_bench.reproduce.regimes import (
    BOUNDS,
    LEVELS,
    LIMITS,
    N_FEATURES,
    N_ROWS,
    RANK,
    ROW_LENGTH,
    TURNS,
)
from rafm_bench.reproduce.section import Beside, Section, Table
from rafm_bench.reproduce.verdicts import NO, YES, Verdict
from rafm_bench.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.reproduce.block import Block
    from rafm_bench.reproduce.sets import Found
    from rafm_datasets import PreparedData

REGIME = "cost grows as table 1 says"
CLOSE = 1.5
"""How far a measured cost may be above a bound of the paper, as a factor."""


def regimes_section(found: list[dict[str, Any]]) -> Section:
    """Tell measured costs of the four regimes beside those of theory."""
    base = {(one["ranks"], one["sets"]): one for one in found if one["m"] == LEVELS[0]}
    rows: list[list[str | Beside]] = []
    verdicts = []
    for ranks, sets in BOUNDS:
        own = [one for one in found if (one["ranks"], one["sets"]) == (ranks, sets)]
        first = base[ranks, sets]
        ratios = {
            what: [one[what] / first[what] for one in own]
            for what in ("theory", "train", "score")
        }
        name = f"{ranks} D_k, {sets} |F_k|"
        bound = BOUNDS[ranks, sets]
        limits = [LIMITS[bound](m) for m in LEVELS]
        for told, costs in (
            (f"the paper's {bound}", limits),
            ("sum D_k |F_k|", ratios["theory"]),
            ("training", ratios["train"]),
            ("scoring", ratios["score"]),
        ):
            rows.append([name, told, *(f"{cost:.2f}" for cost in costs)])
        verdicts.append(_judge_regime(name, bound, ratios["train"], limits))
    header = ["regime", "cost", *(f"m = {m}" for m in LEVELS)]
    lead = (
        "The cost of RaFM with m levels in that of one level: the paper's bound with "
        "the constant that makes it 1 at m = 1, the sum over levels, and the processor "
        "seconds that training and scoring took, the least of "
        f"{TURNS} turns. Generated rows: {N_ROWS} of {ROW_LENGTH} features, drawn "
        f"evenly from {N_FEATURES:,}; ranks up to {RANK}, AdaGrad, one thread."
    )
    drawn = picture("Cost over levels", "", drawings.regimes_plot(found))
    return Section(
        "",
        lead,
        [Table(header, rows)],
        verdicts,
        [drawn._replace(wide=True)],
    )


def _judge_regime(
    name: str, bound: str, train: list[float], limits: list[float]
) -> Verdict:
    over = max(seen / limit for seen, limit in zip(train, limits, strict=True))
    levels, seen, most = (
        ", ".join(texts)
        for texts in (
            (f"{m}" for m in LEVELS[1:]),
            (f"{one:.2f}" for one in train[1:]),
            (f"{one:.2f}" for one in limits[1:]),
        )
    )
    why = (
        f"training with m = {levels} takes {seen} times that of one level, the bound "
        f"is {most}; at most {CLOSE} times it counts as reproduced"
    )
    if over > CLOSE:
        why += "; each level also has a cost of its own that no rank lowers"
    result = YES if over <= CLOSE else NO
    return Verdict(f"With {name} the cost is {bound}", result, "generated", why, REGIME)


def frequencies_section(prepared: Sequence[tuple[Found, PreparedData]]) -> Section:
    """Draw how often features are seen in each data set."""
    pictures = []
    rows: list[list[str | Beside]] = []
    for found, data in prepared:
        counts = data.train_counts()
        title = f"Frequencies, {found.data_set.title}"
        pictures.append(picture(title, "", plots.frequency_plot(summarize(data), SIZE)))
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
        "",
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
            "Every point is the loss of all test rows, not clipped, under the paper "
            "protocol too. Bars are 95 % intervals; B_11 is RaFM cut off at its lowest "
            "rank.",
            drawings.ranks_plot(block, protocol),
        )
        for protocol in block.protocols
        if any(block.outcomes[model, protocol].rows for model in block.models)
    ]
