"""How much work an experiment may be: seeds, epochs, and the grids of the searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rafm_bench.reproduce.sets import Protocol

Grids = dict[str, dict[str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Budget:
    """What all models share: `search_seed` is that of the trials, the runs have others.

    Attributes
    ----------
    seeds : of the runs whose mean and interval are told
    epochs, grids : epochs at most, and values of each option, by protocol; under
        `clean-ratings` for ratings
    l1 : strengths of L1 in figure 4
    """

    name: str
    seeds: tuple[int, ...]
    epochs: dict[str, int]
    grids: Grids = field(repr=False)
    l1: tuple[float, ...]
    search_seed: int = 0

    def space(self, protocol: Protocol, *, ratings: bool) -> dict[str, tuple[Any, ...]]:
        """Return what is searched, for every model alike."""
        return dict(self.grids[_key(protocol, ratings)])

    def cap(
        self, options: dict[str, Any], protocol: Protocol, *, ratings: bool
    ) -> dict[str, Any]:
        """Return the options with no more epochs than there may be."""
        most = self.epochs[_key(protocol, ratings)]
        return {**options, "epochs": min(options["epochs"], most)}


def _key(protocol: str, ratings: bool) -> str:
    return "clean-ratings" if ratings and protocol == "clean" else protocol


LEAST_BLOCK = 32
SMALL: Grids = {
    "clean": {"learning_rate": (0.05, 0.1), "l2": (1e-5, 5e-5, 2e-4)},
    "clean-ratings": {"learning_rate": (0.05, 0.1), "l2": (3e-4, 1e-3)},
    "paper": {"l2": (1e-6, 1e-5)},
    "sparse": {"learning_rate": (0.1,)},
}
FULL: Grids = {
    "clean": {"learning_rate": (0.03, 0.05, 0.1, 0.15), "l2": (1e-6, 1e-5, 5e-5, 2e-4)},
    "clean-ratings": {
        "learning_rate": (0.02, 0.03, 0.05, 0.1),
        "l2": (1e-4, 3e-4, 5e-4, 1e-3),
    },
    "paper": {"l2": (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)},
    "sparse": {"learning_rate": (0.03, 0.1, 0.3)},
}


def fit_blocks(options: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """Return the options with smaller blocks where an epoch is over three passes.

    The steps of an epoch stay: on data smaller than the paper's, blocks of its size
    would be most of the rows, each time anew.
    """
    n_blocks = options.get("blocks", 0)
    if n_blocks * options["batch_size"] <= 3 * n_rows:
        return options
    return {**options, "batch_size": max(LEAST_BLOCK, round(n_rows / n_blocks))}


def make_budget(name: str, n_seeds: int | None) -> Budget:
    """Return the budget of a name, with its own number of seeds or another."""
    small = name == "small"
    n = n_seeds or (3 if small else 5)
    return Budget(
        name=name,
        seeds=tuple(range(1, n + 1)),
        epochs=(
            {"clean": 20, "clean-ratings": 30, "paper": 8, "sparse": 8}
            if small
            else {"clean": 60, "clean-ratings": 60, "paper": 400, "sparse": 40}
        ),
        grids=SMALL if small else FULL,
        l1=(0.0, 2e-3, 4e-3) if small else (0.0, 5e-4, 1e-3, 2e-3, 3e-3, 4e-3),
    )
