"""The picture of a search: validation loss over the values of one option."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from rafm_bench.canvas import COLORS, MUTED, canvas, minor_short
from rafm_bench.metrics import spoken
from rafm_bench.search import valid_loss
from rafm_bench.words import option_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rafm_bench.searches import Searches

FEW = 8
"""Values up to which each has its own place, whatever their distances."""
TALL = 4.0
"""The picture's height, in distances from the least loss to the median one."""


def option_plot(searches: Searches, option: str) -> Figure:
    """Draw each trial's validation loss over its value of an option.

    Few values stand side by side; many numbers stand on a scale.
    """
    figure, axes = canvas()
    values = _in_order({row.get(option) for row in searches.trials})
    is_scale = len(values) > FEW and all(map(_is_number, values))
    place = dict(zip(values, values if is_scale else range(len(values)), strict=True))
    losses = [valid_loss(row) for row in searches.done]
    top = _top(losses)
    _draw_trials(axes, [place[row.get(option)] for row in searches.done], losses, top)
    for row in searches.trials:
        if row["status"] != "done":
            axes.plot(place[row.get(option)], top, "x", color=COLORS[1], clip_on=False)
    if is_scale:
        _scale(axes, values)
    else:
        axes.set_xticks(range(len(values)), [_tick(value) for value in values])
        axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_xlabel(option.replace("_", " "))
    axes.set_ylabel(f"validation {spoken(searches.metric)}")
    return figure


def _draw_trials(
    axes: Axes, places: Sequence[float], losses: Sequence[float], top: float
) -> None:
    """Draw points, the line of the least loss at each place, and the best of all."""
    least: dict[float, float] = {}
    for x, y in zip(places, losses, strict=True):
        least[x] = min(y, least.get(x, math.inf))
        axes.plot(
            x,
            min(y, top),
            "o" if y <= top else "^",
            color=COLORS[0],
            markerfacecolor="none",
            markersize=6,
            clip_on=False,
        )
    if len(least) <= FEW:
        line = sorted(least.items())
        axes.plot(*zip(*line, strict=True), color=MUTED, linewidth=1.2, zorder=1)
    axes.plot(places[0], losses[0], "o", color=COLORS[0], markersize=8)
    low = min(losses)
    axes.set_ylim(low - 0.06 * (top - low), top)


def _top(losses: Sequence[float]) -> float:
    """Return the picture's upper end: bad trials do not press the good ones flat."""
    low, middle, high = min(losses), float(np.median(losses)), max(losses)
    end = low + TALL * (middle - low)
    top = min(high, end) if end > low else high
    return top + 0.05 * ((top - low) or abs(top) or 1.0)


def _scale(axes: Axes, values: Sequence[float]) -> None:
    ratio = values[-1] / values[0] if values[0] > 0 else 0
    if ratio >= 10:
        axes.set_xscale("log")
        few = FuncFormatter(minor_short) if ratio <= 1000 else NullFormatter()
        axes.xaxis.set_minor_formatter(few)
    axes.margins(x=0.05)


def _in_order(values: set[Any]) -> list[Any]:
    """Sort numbers, lists of numbers by their numbers, texts; what is missing first."""
    return sorted(values, key=_key)


def _key(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    if _is_number(value):
        return (1, value)
    parts = str(value).split(",")
    if all(part.isdigit() for part in parts):
        return (2, *map(int, parts))
    return (3, str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tick(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else option_text(value)
