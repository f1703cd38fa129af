"""Runs beside each other as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench import plots
from rafm_bench.canvas import inline_svg, run_colors
from rafm_bench.commands import near, train_command
from rafm_bench.compare import compare
from rafm_bench.job import make_layout
from rafm_bench.metrics import best_of, shown
from rafm_bench.pages import template
from rafm_bench.progress import Silent
from rafm_bench.staging import write_text
from rafm_bench.summary import DataSummary, summarize
from rafm_bench.words import finding, run_labels
from rafm_datasets import DataError, open_prepared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from rafm_bench.metrics import Metrics
    from rafm_bench.run import Run


class Picture(NamedTuple):
    """A figure of the report."""

    title: str
    caption: str
    svg: str
    wide: bool = False


def write_report(
    file: Path,
    runs: Sequence[Run],
    title: str = "",
    before: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> None:
    """Write the report of some runs.

    Parameters
    ----------
    file : HTML file to write; replaced if it exists
    runs : the first is the measure of the others
    title : heading; made from the models when empty
    before : commands that made the data, shown before those that made the runs
    remarks : more to say below the table
    """
    labels = run_labels(runs)
    comparison = compare(runs)
    data = _summary(runs)
    page = template("report.html.j2").render(
        title=title or _title(labels),
        finding=finding(runs, labels),
        labels=labels,
        colors=run_colors(len(runs)),
        comparison=comparison,
        remarks=[*remarks, *comparison.notes],
        best=_best([run.test for run in comparison.runs]),
        data=data,
        pictures=_pictures(runs, labels, data),
        commands=[*before, *(train_command(run) for run in runs), _last(file, runs)],
        first=runs[0].result,
    )
    write_text(file, page)


def _title(labels: Sequence[str]) -> str:
    return " and ".join([", ".join(labels[:-1]), labels[-1]][len(labels) == 1 :])


def _summary(runs: Sequence[Run]) -> DataSummary | None:
    """Summarize the runs' data with the layout of most ranks; None when it is gone."""
    run = max(runs, key=lambda one: len(one.result.ranks))
    try:
        data = open_prepared(run.result.data)
    except DataError:
        return None
    if data.fingerprint != run.result.data_fingerprint:
        return None
    layout = make_layout(run.config, data, Silent())
    return summarize(data, layout if layout.rank_dims else None)


def _best(measured: Sequence[Metrics | None]) -> Metrics:
    """Return the best value of each test metric."""
    names = dict.fromkeys(name for metrics in measured for name in shown(metrics))
    return {
        name: best_of(name, [(metrics or {}).get(name) for metrics in measured])
        for name in names
    }


def _pictures(
    runs: Sequence[Run], labels: Sequence[str], data: DataSummary | None
) -> list[Picture]:
    """Draw all that these runs have something to show in."""
    pictures = [
        picture(
            "Learning curves",
            "Loss by epoch; the dot is the epoch that was kept. A solid line that "
            "turns up while the dotted one falls is overfitting.",
            plots.learning_plot(runs, labels),
        )
    ]
    if any(run.result.test for run in runs):
        pictures += _quality_pictures(runs, labels)
    pictures += [
        picture(
            f"Loss of every B_1k, {label}",
            "B_1k is the model cut off at rank level k, the last one the prediction. "
            "Each row is scored before its own step.",
            plots.level_plot(run),
        )
        for run, label in zip(runs, labels, strict=True)
        if len(run.result.ranks) > 1
    ]
    if data:
        about = "Features by how often they are seen, both axes in log scale"
        cuts = "; above the bars, the highest rank that features of that count carry"
        about += cuts if data.levels else ""
        drawn = plots.frequency_plot(data)
        seen = picture("How often features are seen", f"{about}.", drawn)
        pictures.append(seen._replace(wide=True))
    return pictures


def _quality_pictures(runs: Sequence[Run], labels: Sequence[str]) -> list[Picture]:
    costs = {"n_parameters": "parameters", "seconds_per_epoch": "seconds per epoch"}
    return [
        picture(
            f"Quality against {words}",
            "Down and to the left is better.",
            plots.quality_plot(runs, labels, cost, words),
        )
        for cost, words in costs.items()
    ]


def picture(title: str, caption: str, drawn: Figure) -> Picture:
    """Take a figure into a page."""
    name = re.sub(r"\W+", "-", title.lower())
    return Picture(title, caption, inline_svg(drawn, name, title))


def _last(file: Path, runs: Sequence[Run]) -> str:
    folders = " ".join(near(run.folder) for run in runs)
    return f"rafm-bench compare {folders} --html {near(file)}"
