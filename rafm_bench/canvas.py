"""What all pictures share: style, colors, short numbers, and the way to SVG."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2933", "#5b6673", "#e3e7ec"
COLORS = ("#1b6ca8", "#c4501b", "#2a8656", "#7a4fa3", "#a8871b", "#a3325a", "#4d5b6b")
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "rafm-bench",
}
SIZE, WIDE = (5.6, 3.5), (11.6, 3.3)


def canvas(size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Make an empty figure in the house style."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.add_subplot()


def run_colors(n: int) -> list[str]:
    """Return a color for each run, the same in every picture."""
    return [COLORS[index % len(COLORS)] for index in range(n)]


def short(number: float, _: object = None) -> str:
    """Write a number short: 1.5M, 20k, 0.3."""
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g}{unit}"
    return f"{number:.3g}"


def minor_short(number: float, _: object = None) -> str:
    """Write minor ticks of a log axis at 2 and 5 only."""
    return short(number) if f"{number:e}"[0] in "25" else ""


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG text without a date."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """Return a figure as an SVG element for a page: ids made its own, width free."""
    text = svg_text(figure)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
