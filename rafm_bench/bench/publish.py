"""asv's pages, and one page of measured cost over theory's lines beside them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.bench.environments import repository
from rafm_bench.bench.results import About, Measured, newest
from rafm_bench.bench.scaling_plots import growth_plot, regime_plot
from rafm_bench.canvas import inline_svg
from rafm_bench.errors import RunError
from rafm_bench.pages import template
from rafm_bench.staging import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from rafm_bench.bench.results import Point

PAGE = "scaling.html"
PARAMETERS = "regimes.Stored.track_parameters"
REGIMES = {
    "regimes.Regimes.time_train_batch": "Training time",
    "regimes.Regimes.time_score": "Scoring time",
}
STORED = "Stored numbers; exactly sum_k D_k |F_k|, a bias and linear weights."
COST = (
    "The dashed line is sum_k D_k n(F_k) / (D n(F)). Where it lies far below 1, what "
    "every entry costs whatever its rank keeps the measured time above it."
)
GROWTH = (
    ("scaling.Rank", "D", 1.0),
    ("scaling.RowLength", "entries of a row", 1.0),
    ("scaling.Features", "|F|", 0.0),
)


class Exponent(NamedTuple):
    """A fitted exponent that the suites track: of what, in which size, its theory."""

    benchmark: str
    what: str
    size: str
    theory: float


EXPONENTS = (
    Exponent("scaling.Slopes.track_slope_in_rank", "time", "D", 1),
    Exponent("scaling.Slopes.track_slope_in_entries", "time", "n(F)", 1),
    Exponent("scaling.Slopes.track_slope_in_features", "time", "|F|", 0),
    Exponent(
        "scaling.SlopesOfTurns.track_slope_in_batch_size",
        "time: train, numba",
        "rows of a batch",
        0,
    ),
    Exponent(
        "scaling.SlopesOfTurns.track_slope_in_threads",
        "time: train batches of 1,024, numba-parallel",
        "threads",
        -1,
    ),
    Exponent("scaling.Stored.track_slope_of_embeddings", "embeddings", "", 1),
    Exponent("scaling.Stored.track_slope_of_state_bytes", "bytes of state", "", 1),
)


class Picture(NamedTuple):
    """A figure of the page."""

    title: str
    caption: str
    svg: str


class Slope(NamedTuple):
    """A fitted exponent, as measured."""

    what: str
    size: str
    backend: str
    theory: float
    value: float


class Values(NamedTuple):
    """All that one benchmark measured: a row for each choice of its parameters."""

    name: str
    params: tuple[str, ...]
    unit: str
    rows: list[tuple[tuple[str, ...], str]]


class Pages(NamedTuple):
    """Where the pages are, and the commit they are of."""

    history: Path
    scaling: Path
    commit: str


def publish() -> Pages:
    """Write asv's HTML and the page of scaling plots; return where they are.

    Raises
    ------
    UserError                         outside a checkout, or nothing was measured yet
    RunError                          asv fails, with what it said
    """
    root = repository()
    measured = newest(root)
    folder = root / ".asv" / "html"
    done = subprocess.run(
        [sys.executable, "-m", "asv", "publish", "--html-dir", str(folder)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise RunError(f"asv publish failed: {said}; see `asv publish` in {root}")
    write_text(folder / PAGE, scaling_page(measured))
    return Pages(folder / "index.html", folder / PAGE, measured.commit)


def scaling_page(measured: Measured) -> str:
    """Return the page of measured points over theory's lines as HTML."""
    return template("scaling.html.j2").render(
        title="Cost of RaFM, measured and predicted",
        commit=measured.commit,
        machine=measured.machine,
        date=datetime.fromtimestamp(measured.date / 1000, UTC).date().isoformat(),
        facts=measured.facts,
        libraries=measured.libraries,
        failed=measured.failed,
        pictures=_pictures(measured),
        slopes=_slopes(measured),
        suites=_suites(measured),
    )


def _pictures(measured: Measured) -> list[Picture]:
    found = []
    if measured.of(PARAMETERS):
        drawn = regime_plot(measured, PARAMETERS)
        found.append(_picture("Parameters", STORED, drawn))
    for name, words in REGIMES.items():
        for backend in _backends(measured, name):
            drawn = regime_plot(measured, name, backend=backend)
            found.append(_picture(f"{words}, {backend}", COST, drawn))
    for backend in _backends(measured, f"{GROWTH[0][0]}.time_train"):
        if all(
            measured.of(f"{case[0]}.time_train", backend=backend) for case in GROWTH
        ):
            drawn = growth_plot(measured, GROWTH, backend)
            about = (
                "One size changes at a time; the dashed lines have theory's slope and "
                "go through the largest size. Above them on the left lies what an "
                "entry costs whatever its rank."
            )
            found.append(_picture(f"One size at a time, {backend}", about, drawn))
    return found


def _backends(measured: Measured, name: str) -> list[str]:
    """Return the backends that a benchmark was measured with: its last parameter."""
    return list(dict.fromkeys(params[-1] for params, _ in measured.of(name)))


def _picture(title: str, caption: str, drawn: Figure) -> Picture:
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    return Picture(title, caption, inline_svg(drawn, name, title))


def _slopes(measured: Measured) -> list[Slope]:
    found = []
    for one in EXPONENTS:
        for params, value in measured.of(one.benchmark):
            # Parameters are what is done and the backend, or the size alone, or none.
            done, backend = params if len(params) == 2 else ("", "")
            what = f"{one.what}: {done}" if done else one.what
            size = one.size or params[0]
            found.append(Slope(what, size, backend, one.theory, value))
    return found


def _suites(measured: Measured) -> dict[str, list[Values]]:
    """Return everything that was measured, by suite."""
    found: dict[str, list[Values]] = {}
    for name, points in sorted(measured.points.items()):
        if points:
            suite = name.split(".", maxsplit=1)[0]
            found.setdefault(suite, []).append(_values(measured, name, points))
    return found


def _values(measured: Measured, name: str, points: Sequence[Point]) -> Values:
    about = measured.about.get(name, About("", ()))
    n_params = len(points[0][0])
    params = about.params if len(about.params) == n_params else ("",) * n_params
    unit, written = _in_unit(about.unit)
    return Values(name, params, unit, [(p, written(value)) for p, value in points])


def _in_unit(unit: str) -> tuple[str, Callable[[float], str]]:
    """Return the unit to show, and how a value is written in it."""
    if unit == "seconds":
        return "milliseconds", lambda value: f"{value * 1e3:,.4g}"
    if unit == "bytes":
        return "MiB", lambda value: f"{value / 2**20:,.1f}"
    if unit == "parameters":
        return unit, lambda value: f"{value:,.0f}"
    return "" if unit == "unit" else unit, lambda value: f"{value:.4g}"
