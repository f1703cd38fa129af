"""What is trained: a model's name, its rank layout, its loss, its projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from rafm_kernels.layout import RankLayout, RankRule
from rafm_kernels.losses import Loss, check_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

ModelName = Literal["lr", "fm", "rafm"]
Projection = Literal["joint", "algorithm1"]
MODELS: tuple[str, ...] = get_args(ModelName)
PROJECTIONS: tuple[str, ...] = get_args(Projection)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the family z = bias + sum_i w_i x_i + interactions.

    LR has no level, FM one, RaFM several; all three are computed by the same code.

    Attributes
    ----------
    name : `lr`, `fm` or `rafm`
    layout : which feature has an embedding of which rank
    loss : `log` (labels 0 and 1) or `square`
    projection : what a dependent factor (i in F_k+1, at level k < m) learns from.
        `algorithm1`: only from being like the next level, loss'(z_k, z_k+1) x_i
        (s_k - x_i v_i). `joint`: also from the prediction through its products with
        free factors, + loss'(z_m, y) x_i (s_k - t_k), as the released program does

    References
    ----------
    Eq. (7), Theorem 3 and Algorithm 1 of Chen et al., ICML 2019; FM: Rendle, ICDM 2010
    """

    name: ModelName
    layout: RankLayout
    loss: Loss
    projection: Projection = "joint"

    def __post_init__(self) -> None:
        """Check the names, and that the number of ranks fits the model."""
        check_loss(self.loss)
        if self.name not in MODELS:
            raise ValueError(
                f"unknown model {self.name!r}; choose one of {', '.join(MODELS)}"
            )
        if self.projection not in PROJECTIONS:
            raise ValueError(
                f"unknown projection {self.projection!r}; choose one of "
                f"{', '.join(PROJECTIONS)}"
            )
        check_ranks_fit(self.name, self.layout.rank_dims)


def make_model(
    name: ModelName,
    counts: ArrayLike,
    rank_dims: Sequence[int],
    *,
    loss: Loss,
    projection: Projection = "joint",
    rank_rule: RankRule = "eq17",
    thresholds: Sequence[float] | None = None,
    levels: ArrayLike | None = None,
) -> Model:
    """Make a model for features with these training counts.

    Parameters
    ----------
    name : `lr` (no rank), `fm` (one rank) or `rafm` (one or more)
    counts, rank_dims, thresholds, levels : as in `RankLayout.from_counts`
    loss : `log` or `square`
    projection : `joint` or `algorithm1`, see `Model`
    rank_rule : `rule` of `RankLayout.from_counts`

    Raises
    ------
    ValueError                   for an unknown name, or ranks that do not fit the model
    """
    layout = RankLayout.from_counts(
        counts, rank_dims, rank_rule, thresholds=thresholds, levels=levels
    )
    return Model(name, layout, loss, projection)


def check_ranks_fit(name: str, rank_dims: Sequence[int]) -> None:
    """Raise ValueError unless the model takes that many ranks."""
    dims = list(rank_dims)
    if name == "lr" and dims:
        raise ValueError(f"model 'lr' has no embeddings and takes no ranks, got {dims}")
    if name == "fm" and len(dims) != 1:
        raise ValueError(
            f"model 'fm' takes one rank, got {dims}; use 'rafm' for several ranks"
        )
    if name == "rafm" and not dims:
        raise ValueError("model 'rafm' needs at least one rank, for example 32,128")
