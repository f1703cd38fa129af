"""The pictures: frequencies with rank cuts, learning curves, quality against cost.

Figures are built without pyplot (no global state) and need no display.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rafm_bench.canvas import (
    COLORS,
    MUTED,
    WIDE,
    canvas,
    minor_short,
    run_colors,
    short,
    svg_text,
)
from rafm_bench.errors import UserError
from rafm_bench.metrics import SELECTION, selection_loss, spoken
from rafm_bench.staging import staged_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rafm_bench.run import Run
    from rafm_bench.summary import DataSummary

NEAR = math.log(4)
"""Ratio of costs up to which labels may run into each other."""
UNSEEN_AT = -0.9
"""Where the bar of features never seen in training stands, left of count 1."""


def frequency_plot(summary: DataSummary, size: tuple[float, float] = WIDE) -> Figure:
    """Draw how many features are seen how often, and which rank they carry (Fig. 1)."""
    figure, axes = canvas(size)
    bins = summary.frequencies
    axes.bar(
        [UNSEEN_AT, *(index + 0.5 for index in range(len(bins) - 1))],
        [one.n_features for one in bins],
        width=0.9,
        color=[MUTED, *[COLORS[0]] * (len(bins) - 1)],
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    powers = range(1 + int(math.log10(max(1, bins[-1].highest))))
    axes.set_xticks(
        [UNSEEN_AT, *(math.log2(10**power) for power in powers)],
        ["never", *(short(10**power) for power in powers)],
    )
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(f"times seen in {summary.counted_in}")
    axes.set_ylabel("features")
    _draw_rank_cuts(axes, summary)
    return figure


def learning_plot(runs: Sequence[Run], labels: Sequence[str]) -> Figure:
    """Draw validation loss by epoch, the best epoch marked; dotted is training loss."""
    figure, axes = canvas()
    name = SELECTION[runs[0].result.loss]
    validated: list[float] = []
    for run, label, color in zip(runs, labels, run_colors(len(runs)), strict=True):
        epochs = run.result.epochs
        numbers = [epoch.epoch for epoch in epochs]
        valid = [selection_loss(run.result.loss, epoch.valid) for epoch in epochs]
        validated += valid
        axes.plot(numbers, valid, color=color, linewidth=1.8, label=label)
        train = [epoch.train_loss for epoch in epochs]
        axes.plot(numbers, train, color=color, linewidth=1.1, linestyle=":")
        best = run.result.best_epoch
        axes.plot([best], [valid[best - 1]], "o", color=color, markersize=5.5)
    _show_all_of(axes, validated)
    axes.set_ylabel(f"{spoken(name)} (solid validation, dotted training)", fontsize=9)
    _finish_epochs(axes)
    return figure


def level_plot(run: Run) -> Figure:
    """Draw the training loss of every B_1k: the model cut off at each rank level."""
    figure, axes = canvas()
    ranks, epochs = run.result.ranks, run.result.epochs
    shades = mpl.colormaps["viridis_r"]
    for level in range(len(ranks)):
        axes.plot(
            [epoch.epoch for epoch in epochs],
            [epoch.level_losses[level] for epoch in epochs],
            color=shades(0.15 + 0.8 * (level + 1) / len(ranks)),
            linewidth=1.8,
            marker="o",
            markersize=3.5,
            label=f"B_1{level + 1}: rank{'s' * (level > 0)} "
            + ",".join(map(str, ranks[: level + 1])),
        )
    axes.set_ylabel(f"training {spoken(SELECTION[run.result.loss])}")
    _finish_epochs(axes)
    return figure


def quality_plot(
    runs: Sequence[Run], labels: Sequence[str], cost: str, cost_label: str
) -> Figure:
    """Draw test quality against an attribute of the runs' results, in log scale."""
    figure, axes = canvas()
    name = "log_loss" if runs[0].result.loss == "log" else "rmse"
    points = [
        (getattr(run.result, cost), (run.result.test or {}).get(name)) for run in runs
    ]
    known = [(x, y) for x, y in points if y is not None]
    for (x, y), label, color in zip(points, labels, run_colors(len(runs)), strict=True):
        if y is None:
            continue
        axes.plot(x, y, "o", color=color, markersize=8)
        offset = (0, -17) if _is_below_another(x, y, known) else (0, 8)
        axes.annotate(
            label, (x, y), offset, textcoords="offset points", ha="center", color=color
        )
    axes.set_xscale("log")
    axes.margins(x=0.22, y=0.22)
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.xaxis.set_minor_formatter(FuncFormatter(minor_short))
    axes.tick_params(axis="x", which="both", length=3.5, labelsize=10)
    axes.set_xlabel(cost_label)
    axes.set_ylabel(f"test {spoken(name)} (lower is better)")
    return figure


def save_frequency_plot(summary: DataSummary, file: Path) -> None:
    """Write the histogram of frequencies as PNG or SVG, by the name's ending."""
    if file.suffix not in (".png", ".svg"):
        raise UserError(f"{file}: plots are .png or .svg; rename it")
    figure = frequency_plot(summary)
    with staged_file(file) as temporary:
        if file.suffix == ".svg":
            temporary.write_text(svg_text(figure), encoding="utf-8")
        else:
            figure.savefig(temporary, format="png", dpi=160)


def _show_all_of(axes: Axes, losses: list[float]) -> None:
    """Fit the losses into the picture, and of what lies below only the beginning."""
    low, high = min(losses), max(losses)
    margin = 0.1 * (high - low) or 0.01
    axes.set_ylim(low - 3 * margin, high + margin)


def _is_below_another(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """Tell whether a label above the point would run into a near point's."""
    heights = [height for _, height in points]
    near = 0.15 * (max(heights) - min(heights))
    return any(
        0 < height - y <= near and abs(math.log(place / x)) < NEAR
        for place, height in points
    )


def _draw_rank_cuts(axes: Axes, summary: DataSummary) -> None:
    """Draw a line where a rank level begins, and over its counts the rank."""
    cuts = [
        (math.log2(level.least_count), level.rank)
        for level in summary.levels[1:]
        if level.least_count
    ]
    if not cuts:
        return
    edges = [0.0, *(at for at, _ in cuts), len(summary.frequencies) - 1.0]
    ranks = [summary.levels[0].rank, *(rank for _, rank in cuts)]
    for at, _ in cuts:
        axes.axvline(at, color=COLORS[1], linewidth=1.2, linestyle=(0, (4, 2)))
    for left, right, rank in zip(edges, edges[1:], ranks, strict=False):
        axes.annotate(
            f"{rank}",
            ((left + right) / 2, 1),
            (0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=COLORS[1],
        )
    axes.annotate(
        "highest rank",
        (UNSEEN_AT, 1),
        (0, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=COLORS[1],
    )


def _finish_epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9, frameon=False)
