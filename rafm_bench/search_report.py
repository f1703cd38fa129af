"""Searches as one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.commands import near, train_command
from rafm_bench.errors import UserError
from rafm_bench.metrics import spoken
from rafm_bench.pages import template
from rafm_bench.report import Picture, picture
from rafm_bench.run import read_run
from rafm_bench.search_plots import option_plot
from rafm_bench.search_table import metric_columns, trial_names
from rafm_bench.searches import finding
from rafm_bench.staging import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_bench.searches import Searches

FACTS = ("version", "commit", "processor", "cores", "backend", "threads", "seed")


def write_search_report(
    file: Path, searches: Searches, paths: Sequence[Path], only: Sequence[str] = ()
) -> None:
    """Write the report of searches that were read from `paths` by `only`."""
    first = searches.trials[0]
    facts = {name: first.get(name) for name in FACTS}
    page = template("search.html.j2").render(
        title=f"Search of {len(searches.trials)} trials",
        finding=finding(searches),
        first=first,
        metric=searches.metric,
        pictures=_pictures(searches),
        trials=list(zip(trial_names(searches), searches.trials, strict=True)),
        searched=searches.searched,
        metrics=metric_columns(searches),
        notes=searches.notes,
        commands=[*_again(searches), _last(file, paths, only)],
        facts={
            **{name: value for name, value in facts.items() if value is not None},
            "data": first["data_fingerprint"],
        },
    )
    write_text(file, page)


def _pictures(searches: Searches) -> list[Picture]:
    if not searches.done:
        return []
    word = spoken(searches.metric)
    return [
        picture(
            f"Validation {word} by {name.replace('_', ' ')}",
            "",
            option_plot(searches, name),
        )
        for name in searches.searched
    ]


def _again(searches: Searches) -> list[str]:
    """Return the command of the best trial; none where its run is gone."""
    try:
        return [train_command(read_run(Path(searches.trials[0]["run"])))]
    except UserError:
        return []


def _last(file: Path, paths: Sequence[Path], only: Sequence[str]) -> str:
    chosen = [word for text in only for word in ("--only", text)]
    words = ["rafm-bench", "compare", *map(near, paths), *chosen, "--html", near(file)]
    return shlex.join(words)
