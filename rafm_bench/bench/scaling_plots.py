"""Pictures of measured cost over the lines that theory draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from rafm_bench.canvas import COLORS, MUTED, STYLE, minor_short, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from rafm_bench.bench.results import Measured

# Those of benchmarks/regimes.py, which is in no package: a test holds them together.
RANK, N_FEATURES = 512, 8_192
RANKS: dict[str, Callable[[int, int], int]] = {
    "linear": lambda k, m: RANK * k // m,
    "exponential": lambda k, m: RANK >> (m - k),
}
SETS: dict[str, Callable[[int, int], int]] = {
    "linear": lambda k, m: N_FEATURES * (m - k + 1) // m,
    "exponential": lambda k, m: max(1, N_FEATURES >> (k - 1)),
}


def predicted(regime: str, m: int) -> float:
    """Return sum_k D_k |F_k| / (D |F|) of a regime of Table 1 with m levels."""
    ranks, sets = (part.split()[0] for part in regime.split(", "))
    levels = range(1, m + 1)
    cost = sum(RANKS[ranks](k, m) * SETS[sets](k, m) for k in levels)
    return cost / (RANK * N_FEATURES)


def regime_plot(measured: Measured, name: str, **wanted: str) -> Figure:
    """Draw a benchmark's values over m, relative to the least m, a panel a regime.

    `wanted` parameters are as in `Measured.of`.
    """
    points = measured.of(name, **wanted)
    regimes = list(dict.fromkeys(params[0] for params, _ in points))
    figure, panels = _panels(len(regimes), shared=True)
    for panel, regime in zip(panels, regimes, strict=True):
        values = {int(p[1]): value for p, value in points if p[0] == regime}
        levels = sorted(values)
        first = levels[0]
        theory = [predicted(regime, m) / predicted(regime, first) for m in levels]
        seen = [values[m] / values[first] for m in levels]
        panel.plot(levels, theory, color=MUTED, linestyle="--", label="theory")
        panel.plot(levels, seen, color=COLORS[0], marker="o", label="measured")
        _logarithmic(panel, levels)
        panel.set_title(regime, fontsize=10)
        panel.set_xlabel("m, rank levels")
    panels[0].set_ylabel("times that of the least m")
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
        ticks: set[float] = set()
        for index, what in enumerate(("train", "score")):
            points = measured.of(f"{name}.time_{what}", backend=backend)
            times = dict(sorted((float(p[0]), value * 1e3) for p, value in points))
            if not times:
                continue
            largest = max(times)
            line = [times[largest] * (size / largest) ** exponent for size in times]
            panel.plot([*times], line, color=MUTED, linestyle="--", linewidth=1)
            panel.plot(
                [*times], [*times.values()], color=COLORS[index], marker="o", label=what
            )
            ticks |= times.keys()
        _logarithmic(panel, sorted(ticks))
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
    panel.yaxis.set_minor_formatter(FuncFormatter(minor_short))
