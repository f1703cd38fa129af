"""A search as it stands on disk: its trials, which are settled, and the best one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.config_file import read_config_values
from rafm_bench.errors import UserError
from rafm_bench.job import TASK_LOSS
from rafm_bench.metrics import SELECTION
from rafm_bench.space import JUDGES, draws, grid, size_text
from rafm_bench.store import Row, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rafm_bench.space import Space, Trial
    from rafm_datasets import PreparedData

TRIALS = "trials"
STORE = "trials.parquet"


@dataclass(frozen=True, slots=True)
class Search:
    """The trials of one command, on which data and where; `space` is what was asked."""

    out: Path
    data: PreparedData
    space: Space
    trials: tuple[Trial, ...]
    keep_models: bool = False

    @property
    def store(self) -> Path:
        """Return the table of the trials."""
        return self.out / STORE

    def folder(self, name: str) -> Path:
        """Return the folder of a trial's run."""
        return self.out / TRIALS / name

    def settled(self) -> dict[str, Row]:
        """Return the rows of trials that are done or failed, by name, in their order.

        What was refused is the user's to mend, and is tried again.
        """
        rows = read_rows(self.store) if self.store.exists() else []
        return {
            row["run"].removeprefix(f"{TRIALS}/"): row
            for row in rows
            if row["status"] != "refused"
        }

    def left(self) -> list[Trial]:
        """Return the trials that are still to be run."""
        settled = self.settled()
        return [trial for trial in self.trials if trial.name not in settled]

    def plan(self) -> str:
        """Say in one line how many trials there are, and how many are settled."""
        n, before = len(self.trials), len(self.trials) - len(self.left())
        what = f" ({size_text(self.space)})" if self.space else ""
        went = f", {before:,} of them settled before" if before else ""
        return f"{n:,} trial{'s' * (n != 1)}{what} in {self.out}{went}"


def shared_options(
    file: Path | None, flags: Mapping[str, Any], space: Space
) -> dict[str, Any]:
    """Return the options of all trials: those of a file, then the flags given.

    What is searched goes before the file, which may be a whole RUN/config.json.
    """
    for name in space:
        if name in flags:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} is given and searched by --grid; leave out one")
    return (read_config_values(file) if file else {}) | dict(flags)


def make_search(
    data: PreparedData,
    out: Path,
    space: Space,
    shared: Mapping[str, Any],
    n_random: int | None = None,
    *,
    keep_models: bool = False,
) -> Search:
    """Make the search of every combination, or of `n_random` of them.

    Parameters
    ----------
    data, out : prepared data, and the folder of the search
    space : what is searched
    shared : options of all trials; `seed` also decides the draws
    keep_models : keep the model of every trial, not only of the best

    Raises
    ------
    UserError                         when a trial cannot be, or `out` holds a search
                                      on other data, or judged otherwise
    """
    shared = {**shared, "loss": shared.get("loss") or TASK_LOSS[data.task]}
    if shared.get("init_from") is not None:
        shared["init_from"] = str(Path(shared["init_from"]).resolve())
    if n_random is None:
        trials = grid(space, shared)
    else:
        trials = draws(space, shared, n_random, shared.get("seed", 0))
    search = Search(out, data, space, tuple(trials), keep_models)
    _check_alike(search)
    return search


def _check_alike(search: Search) -> None:
    for row in search.settled().values():
        if row["data_fingerprint"] != search.data.fingerprint:
            raise UserError(
                f"{search.out}: its trials are on data with fingerprint "
                f"{row['data_fingerprint'][:12]}, and {search.data.folder} has "
                f"{search.data.fingerprint[:12]}; choose another --out"
            )
        for name in JUDGES:
            was, now = row.get(name), getattr(search.trials[0].config, name)
            if (was or 0) != (now or 0):  # a table of before may lack the column
                raise UserError(
                    f"{search.out}: its trials have {name} {was}, this command {name} "
                    f"{now}; choose another --out"
                )


def best_row(rows: Iterable[Row]) -> Row | None:
    """Return the done trial of least validation loss; of equal ones the earliest."""
    done = [row for row in rows if row["status"] == "done"]
    return min(done, key=valid_loss, default=None)


def valid_loss(row: Row) -> float:
    """Return what a done trial is judged by."""
    return float(row[f"valid_{SELECTION[row['loss']]}"])
