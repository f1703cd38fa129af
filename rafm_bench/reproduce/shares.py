"""How much of the data has more than the lowest rank of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.config import TrainConfig
from rafm_bench.cost import predict_cost
from rafm_bench.job import make_layout
from rafm_bench.progress import Silent
from rafm_bench.words import share

if TYPE_CHECKING:
    from rafm_bench.reproduce.cells import Cell
    from rafm_datasets import PreparedData

LEAST = 0.01
"""Where F_2 has a smaller share of features and of entries, D_1 is the only rank."""


class Share(NamedTuple):
    """Shares of features and of training entries in F_2: of rank D_2 or more."""

    features: float
    entries: float

    @property
    def is_empty(self) -> bool:
        """Whether F_2 holds so little that the model is one of rank D_1."""
        return max(self) < LEAST

    def __str__(self) -> str:
        """Write both as percent."""
        return f"{share(self.features)} / {share(self.entries)}"


def share_above(cell: Cell, data: PreparedData) -> Share | None:
    """Return the share of F_2 of a cell's model; None for a model of one rank."""
    config = TrainConfig(**cell.options())
    if len(config.ranks) < 2:
        return None
    layout = make_layout(config, data, Silent())
    cost = predict_cost(layout, data.train_counts(), data.rows("train"))
    lowest, second, *_ = cost.features_per_row
    return Share(
        layout.features_at_rank[1] / data.n_features,
        second / lowest if lowest else 0.0,
    )
