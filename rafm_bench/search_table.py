"""A search as text for people: what is planned, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.searches import finding
from rafm_bench.tables import show_notes, table
from rafm_bench.words import figure, option_text

if TYPE_CHECKING:
    from rich.console import Console

    from rafm_bench.search import Search
    from rafm_bench.searches import Searches
    from rafm_bench.store import Row

SHOWN = {"log": ("log_loss", "auc"), "square": ("rmse", "mae")}
"""The metrics of each loss that tables of trials have room for."""
ROWS = 30
"""Trials that a console shows; all are in the table on disk."""


def planned_as_dict(search: Search) -> dict[str, Any]:
    """Return what a search would do, as JSON has it."""
    left = {trial.name for trial in search.left()}
    return {
        "folder": str(search.out),
        "n_trials": len(search.trials),
        "n_left": len(left),
        "trials": [
            {"name": one.name, "settled": one.name not in left, "options": one.chosen}
            for one in search.trials
        ],
    }


def show_planned(search: Search, console: Console) -> None:
    """Print the trials of a search."""
    console.print(search.plan(), markup=False)
    left = {trial.name for trial in search.left()}
    made = table("trial", *search.space, "settled", left=1)
    for trial in search.trials:
        values = (option_text(value) for value in trial.chosen.values())
        made.add_row(trial.name, *values, "no" if trial.name in left else "yes")
    console.print(made)


def show_searches(searches: Searches, console: Console) -> None:
    """Print trials, the best first, and which is the best."""
    metrics = metric_columns(searches)
    titles = [f"{split} {name.replace('_', ' ')}" for split, name in metrics]
    options = [name.replace("_", " ") for name in searches.searched]
    made = table("run", *options, *titles, "epoch", "parameters", "s")
    for row, name in zip(searches.trials[:ROWS], trial_names(searches), strict=False):
        values = (option_text(row.get(option)) for option in searches.searched)
        made.add_row(name, *values, *_came_to(row, metrics))
    console.print(made)
    if len(searches.trials) > ROWS:
        console.print(f"and {len(searches.trials) - ROWS} more")
    for row in searches.trials:
        if row["status"] != "done":
            text = f"{row['run']} {row['status']}: {row['error']}"
            console.print(text, markup=False, soft_wrap=True)
    console.print(finding(searches), soft_wrap=True)
    show_notes(searches.notes, console)


def metric_columns(searches: Searches) -> list[tuple[str, str]]:
    """Name the metrics that a table shows, by split; test only where it was scored."""
    return [
        (split, name)
        for split in ("valid", "test")
        for name in SHOWN[searches.trials[0]["loss"]]
        if any(row.get(f"{split}_{name}") is not None for row in searches.done)
    ]


def trial_names(searches: Searches) -> list[str]:
    """Name trials by the last part of their folder, where it is theirs alone."""
    folders = [row["run"] for row in searches.trials]
    names = [Path(folder).name for folder in folders]
    return names if len(set(names)) == len(names) else folders


def _came_to(row: Row, metrics: list[tuple[str, str]]) -> list[str]:
    if row["status"] != "done":
        return [*["-"] * (len(metrics) + 2), row["status"]]
    return [
        *(figure(row.get(f"{split}_{name}")) for split, name in metrics),
        f"{row['best_epoch']}",
        f"{row['n_parameters']:,}",
        f"{row['seconds']:.1f}",
    ]
