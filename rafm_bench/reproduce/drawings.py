"""The pictures of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from rafm_bench.canvas import COLORS, MUTED, STYLE, canvas, minor_short, short
from rafm_bench.reproduce.block import LOW, WHOLE
from rafm_bench.reproduce.paper import BIG_FM, SMALL_RAFM
from rafm_bench.reproduce.regimes import BOUNDS, LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from rafm_bench.reproduce.block import Block
    from rafm_bench.reproduce.results import Interval
    from rafm_bench.reproduce.sparse import Point


def regimes_plot(found: Sequence[dict[str, Any]]) -> Figure:
    """Draw cost over the number of levels, a panel a regime."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.6, 3.3), layout="constrained")
        panels: Sequence[Axes] = list(figure.subplots(1, len(BOUNDS), sharey=True))
    for panel, (ranks, sets) in zip(panels, BOUNDS, strict=True):
        own = [one for one in found if (one["ranks"], one["sets"]) == (ranks, sets)]
        for what, color, line in (
            ("theory", MUTED, "--"),
            ("train", COLORS[0], "-"),
            ("score", COLORS[1], "-"),
        ):
            ratios = [one[what] / own[0][what] for one in own]
            marker = "" if what == "theory" else "o"
            panel.plot(
                LEVELS, ratios, color=color, linestyle=line, marker=marker, label=what
            )
        panel.set_xscale("log")
        panel.set_xticks(LEVELS, [str(m) for m in LEVELS])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_title(f"{ranks} D_k, {sets} |F_k|", fontsize=9.5)
        panel.set_xlabel("m, rank levels")
    panels[0].set_ylabel("times that of m = 1")
    panels[0].legend(fontsize=9)
    return figure


def ranks_plot(block: Block, protocol: str) -> Figure:
    """Draw the loss of all test rows over rank: FM, RaFM {32,512} and its B_11."""
    figure, axes = canvas()
    fms = {
        int(model.split("-")[1]): block.outcomes[model, protocol].interval(WHOLE)
        for model in block.models
        if model.startswith("fm")
    }
    drawn = {rank: loss for rank, loss in fms.items() if loss is not None}
    for rank, loss in drawn.items():
        _point(axes, rank, loss, COLORS[0])
    means = [loss.mean for loss in drawn.values()]
    axes.plot(list(drawn), means, color=COLORS[0], label="FM")
    rafm = block.outcomes["rafm-s1", protocol]
    for rank, found, color, label in (
        (512, rafm.interval(WHOLE), COLORS[1], "RaFM {32,512}"),
        (32, rafm.interval(LOW), COLORS[2], "RaFM-low (B_11)"),
    ):
        if found is not None:
            _point(axes, rank, found, color)
            axes.plot([], [], "o", color=color, label=label)
    axes.set_xscale("log")
    axes.set_xticks([32, 64, 128, 256, 512], ["32", "64", "128", "256", "512"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("rank")
    axes.set_ylabel("log loss of all test rows (lower is better)")
    axes.legend(fontsize=9)
    return figure


def sparse_plot(points: Sequence[Point]) -> Figure:
    """Draw test AUC over parameters in units of LR's, a line a kind of model."""
    figure, axes = canvas()
    kinds = list(dict.fromkeys(one.label.split()[0] for one in points))
    for kind, color in zip(kinds, COLORS, strict=False):
        for label in dict.fromkeys(
            p.label for p in points if p.label.split()[0] == kind
        ):
            own = sorted((p for p in points if p.label == label), key=lambda p: p.size)
            axes.errorbar(
                [p.size for p in own],
                [p.auc.mean for p in own],
                [p.auc.half or 0.0 for p in own],
                color=color,
                marker="o",
                markersize=5,
                linewidth=1.2,
                elinewidth=0.6,
            )
            if kind == "FM":
                at = (own[-1].size, own[-1].auc.mean)
                axes.annotate(
                    label.split()[1], at, (5, -3), textcoords="offset points",
                    color=color, fontsize=9,
                )  # fmt: skip
        axes.plot([], [], "o-", color=color, label=kind)
    for size in (SMALL_RAFM, BIG_FM):
        axes.axvline(size, color=MUTED, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.xaxis.set_minor_formatter(FuncFormatter(minor_short))
    axes.set_xlabel("parameters that are not 0, in LR's")
    axes.set_ylabel("test AUC (higher is better)")
    axes.legend(fontsize=9)
    return figure


def _point(axes: Axes, x: float, found: Interval, color: str) -> None:
    axes.errorbar(
        [x], [found.mean], yerr=[found.half or 0.0], fmt="o", color=color, capsize=3
    )
