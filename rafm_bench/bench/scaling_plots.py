"""Pictures of measured cost over the lines that theory draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from rafm_bench.canvas import COLORS, MUTED, STYLE, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from rafm_bench.bench.results import Measured

Levels = dict[int, float]
RANKS: dict[str, Callable[[int, int], float]] = {
    "linear": lambda k, m: k / m,
    "exponential": lambda k, m: 2.0 ** (k - m),
}
SETS: dict[str, Callable[[int, int], float]] = {
    "linear": lambda k, m: (m - k + 1) / m,
    "exponential": lambda k, m: 2.0 ** (1 - k),
}


def predicted(regime: str, m: int) -> float:
    """Return sum_k D_k |F_k| / (D |F|) of a regime of Table 1 with m levels."""
    ranks, sets = (part.split()[0] for part in regime.split(", "))
    return sum(RANKS[ranks](k, m) * SETS[sets](k, m) for k in range(1, m + 1))


def regime_plot(measured: Measured, name: str, backend: str) -> Figure:
    """Draw a benchmark's values over m, relative to m = 1, a panel a regime."""
    points = measured.of(name, backend=backend)
    regimes = list(dict.fromkeys(params[0] for params, _ in points))
    figure, panels = _panels(len(regimes), shared=True)
    for panel, regime in zip(panels, regimes, strict=True):
        values = {int(p[1]): value for p, value in points if p[0] == regime}
        levels = sorted(values)
        theory = [predicted(regime, m) for m in levels]
        seen = [values[m] / values[levels[0]] for m in levels]
        panel.plot(levels, theory, color=MUTED, linestyle="--", label="theory")
        panel.plot(levels, seen, color=COLORS[0], marker="o", label="measured")
        _logarithmic(panel, levels)
        panel.set_title(regime, fontsize=10)
        panel.set_xlabel("m, rank levels")
    panels[0].set_ylabel("times that of m = 1")
    panels[0].legend()
    return figure


def growth_plot(
    measured: Measured, cases: Sequence[tuple[str, str, float]], backend: str
) -> Figure:
    """Draw values over a size on log-log axes; `cases` are name, axis, and exponent.

    The line of theory has the exponent as its slope and goes through the largest size.
    """
    figure, panels = _panels(len(cases), shared=False)
    for panel, (name, axis, exponent) in zip(panels, cases, strict=True):
        for index, what in enumerate(("train", "score")):
            points = measured.of(f"{name}.time_{what}", backend=backend)
            sizes = [float(params[0]) for params, _ in points]
            times = [value * 1e3 for _, value in points]
            if not sizes:
                continue
            line = [times[-1] * (size / sizes[-1]) ** exponent for size in sizes]
            panel.plot(sizes, line, color=MUTED, linestyle="--", linewidth=1)
            panel.plot(sizes, times, color=COLORS[index], marker="o", label=what)
        _logarithmic(panel, sorted({float(p[0]) for p, _ in points}))
        panel.set_title(f"time over {axis}", fontsize=10)
        panel.set_xlabel(axis)
    panels[0].set_ylabel("milliseconds")
    panels[0].legend()
    return figure


def _panels(n: int, *, shared: bool) -> tuple[Figure, Sequence[Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.6, 3.4), layout="constrained")
        made = figure.subplots(1, n, sharey=shared, squeeze=False)
        panels: Sequence[Axes] = list(made[0])
        return figure, panels


def _logarithmic(panel: Axes, ticks: Sequence[float]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(ticks, [short(tick) for tick in ticks])
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_formatter(FuncFormatter(short))
    panel.yaxis.set_minor_formatter(FuncFormatter(_near_one))


def _near_one(value: float, _: object = None) -> str:
    return short(value) if f"{value:e}"[0] in "25" else ""
