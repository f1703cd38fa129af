"""The results of an experiment on a data set, by model and protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rafm_bench.reproduce.paper import PAPER
from rafm_bench.reproduce.results import outcome
from rafm_bench.reproduce.shares import share_above

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rafm_bench.reproduce.cells import Cell
    from rafm_bench.reproduce.results import Outcome
    from rafm_bench.reproduce.sets import Found, Protocol
    from rafm_bench.reproduce.shares import Share
    from rafm_bench.reproduce.work import Place
    from rafm_datasets import PreparedData

PROTOCOLS: tuple[Protocol, ...] = ("paper", "clean")
WHOLE, LOW = "all_log_loss", "level_1_log_loss"
"""Losses of all test rows, of the model and of its B_11: one measure for figure 3."""


@dataclass(frozen=True, slots=True)
class Block:
    """The cells of an experiment on a data set; times are in those of `measure`.

    `outcomes` and `shares` are by model and protocol; see `share_above`.
    """

    experiment: str
    found: Found
    outcomes: dict[tuple[str, str], Outcome]
    measure: str
    shares: dict[tuple[str, str], Share | None] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Return the models in the order of the table."""
        return list(dict.fromkeys(model for model, _ in self.outcomes))

    @property
    def protocols(self) -> list[Protocol]:
        """Return the protocols that were run, the paper's first."""
        run = {protocol for _, protocol in self.outcomes}
        return [one for one in PROTOCOLS if one in run]

    @property
    def is_ratings(self) -> bool:
        """Whether the data are ratings."""
        return any(one.loss_name == "rmse" for one in self.outcomes.values())

    def of(self, protocol: str) -> dict[str, Outcome]:
        """Return the outcomes under a protocol, by model."""
        return {m: one for (m, p), one in self.outcomes.items() if p == protocol}

    def where(self, protocol: str) -> str:
        """Name data and protocol."""
        data = self.found.data_set.title
        kind = self.found.choice.kind
        return f"{data}{'' if kind in ('papers', 'near') else f' ({kind})'}, {protocol}"


def read_block(
    experiment: str,
    found: Found,
    cells: Sequence[Cell],
    place: Place,
    data: Mapping[Protocol, PreparedData],
) -> Block:
    """Read the results of cells; `data` is what they were trained on, by protocol."""
    outcomes: dict[tuple[str, str], Outcome] = {
        (cell.model, cell.protocol): outcome(cell, place) for cell in cells
    }
    shares: dict[tuple[str, str], Share | None] = {
        (cell.model, cell.protocol): share_above(cell, data[cell.protocol])
        for cell in cells
    }
    fms = [cell.model for cell in cells if cell.model.startswith("fm")]
    printed = PAPER.get(found.data_set.name, {})
    measure = next((model for model in fms if model in printed), fms[0])
    return Block(experiment, found, outcomes, measure, shares)
