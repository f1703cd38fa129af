"""Searches beside each other: the trials of some tables and runs, the best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.alike import check_alike
from rafm_bench.errors import UserError
from rafm_bench.metrics import SELECTION, spoken
from rafm_bench.run import read_run
from rafm_bench.search import STORE, valid_loss
from rafm_bench.space import OPTIONS
from rafm_bench.store import Row, read_rows, row_of_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Searches:
    """Trials, those that are done by validation loss, then the others.

    `searched` are the options in which they differ.
    """

    trials: tuple[Row, ...]
    searched: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def done(self) -> tuple[Row, ...]:
        """Return the trials that came to an end, the best first."""
        return tuple(row for row in self.trials if row["status"] == "done")

    @property
    def metric(self) -> str:
        """Return the name of the loss that they are judged by."""
        return SELECTION[self.trials[0]["loss"]]

    def to_dict(self) -> dict[str, Any]:
        """Return it all as JSON has it."""
        trials = [
            {**row, "written_at": row["written_at"].isoformat()} for row in self.trials
        ]
        return {"trials": trials, "searched": self.searched, "notes": self.notes}


def is_store(path: Path) -> bool:
    """Whether a path is a search or a table of runs, not a run."""
    return path.suffix == ".parquet" or (path / STORE).is_file()


def read_searches(paths: Sequence[Path], only: Sequence[str] = ()) -> Searches:
    """Read searches, tables of runs and runs, those that `only` lets through.

    Parameters
    ----------
    paths : folders and tables
    only : texts COLUMN=VALUE; a trial must have them all

    Raises
    ------
    UserError                         where there is none, or their quality does not
                                      compare, see `check_alike`
    """
    found = [(path, row) for path in paths for row in _rows(path)]
    if not found:
        raise UserError(f"{paths[0]}: holds no trials yet; run `rafm-bench tune`")
    for text in only:
        found = _choose(found, text)
    check_alike(found)
    done = [row for _, row in found if row["status"] == "done"]
    others = [row for _, row in found if row["status"] != "done"]
    trials = (*sorted(done, key=valid_loss), *others)
    return Searches(trials, _searched(trials), _notes(trials))


def finding(searches: Searches) -> str:
    """Say in a sentence which trial is best."""
    done = searches.done
    if not done:
        return f"None of {len(searches.trials)} trials came to an end."
    best, word = done[0], spoken(searches.metric)
    test = best.get(f"test_{searches.metric}")
    tested = "" if test is None else f"; its test {word} is {test:.4f}"
    return (
        f"{best['run']} has the lowest validation {word} of {len(done)} trials, "
        f"{valid_loss(best):.4f}{tested}."
    )


def _rows(path: Path) -> list[Row]:
    """Return the rows of a path, the folders of their runs as seen from here."""
    if not is_store(path):
        run = read_run(path)
        if not run.result.epochs:
            raise UserError(
                f"{path}: its model was imported, so there are no epochs to compare; "
                f"use `rafm-bench evaluate {path}`"
            )
        return [row_of_run(run, str(path))]
    file = path if path.suffix == ".parquet" else path / STORE
    rows = read_rows(file)
    return [{**row, "run": str(file.parent / row["run"])} for row in rows]


def _choose(found: list[tuple[Path, Row]], only: str) -> list[tuple[Path, Row]]:
    """Return what has the value that COLUMN=VALUE says."""
    column, _, text = only.partition("=")
    known = sorted({name for _, row in found for name in row})
    if column not in known:
        raise UserError(
            f"--only {only}: must be COLUMN=VALUE, of the columns {', '.join(known)}"
        )
    chosen = [(path, row) for path, row in found if _is(row.get(column), text)]
    if not chosen:
        values = dict.fromkeys(f"{row.get(column)}" for _, row in found)
        raise UserError(
            f"--only {only}: no trial has it; they have {', '.join(values)}"
        )
    return chosen


def _is(value: object, text: str) -> bool:
    """Whether a value is what a text says, as text or as a number."""
    if f"{value}" == text:
        return True
    try:
        return isinstance(value, int | float) and value == float(text)
    except ValueError:
        return False


def _searched(trials: Sequence[Row]) -> tuple[str, ...]:
    return tuple(name for name in OPTIONS if len({row.get(name) for row in trials}) > 1)


def _notes(trials: Sequence[Row]) -> tuple[str, ...]:
    """Say what to mind: lost trials, several tests, different programs."""
    notes = []
    lost = [row for row in trials if row["status"] != "done"]
    if lost:
        notes.append(f"{len(lost)} of {len(trials)} trials came to nothing")
    test = f"test_{SELECTION[trials[0]['loss']]}"
    tested = sum(row.get(test) is not None for row in trials)
    if tested > 1:
        notes.append(
            f"the test split was scored for {tested} trials: choose by validation, or "
            "the test figures flatter"
        )
    facts = {"commit": "commits of the program", "processor": "processors"}
    notes += [
        f"the trials were run on different {words}"
        for name, words in facts.items()
        if len({row.get(name) for row in trials}) > 1
    ]
    return tuple(notes)
