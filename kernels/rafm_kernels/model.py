"""What is trained: a model's name, its rank layout, its loss, its projection."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from rafm_kernels.layout import RankLayout, RankRule
from rafm_kernels.losses import Loss, check_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

ModelName = Literal["lr", "fm", "rafm", "difacto", "mrma", "ffm"]
Projection = Literal["joint", "algorithm1"]
MODELS: tuple[str, ...] = get_args(ModelName)
PROJECTIONS: tuple[str, ...] = get_args(Projection)
FIELD_MODELS = ("mrma", "ffm")  # those that read the field of each entry


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the family z = bias + sum_i w_i x_i + interactions.

    The interactions, sums over the pairs i < j of a row, and what a feature stores:

    `lr`       none
    `fm`       x_i x_j v_i . v_j
    `rafm`     x_i x_j v_i^(k) . v_j^(k), k the highest level of both; v^(k) has D_k
               numbers and is stored for F_k
    `difacto`  x_i x_j v_i[:D] . v_j[:D], D the lower rank of both: one vector, cut at
               D_{k_i}; its block D_{k-1}..D_k is the table of level k, stored for F_k
    `mrma`     x_u x_i sum_k pi_k v_u^(k) . v_i^(k), for the two features u, i of a row;
               pi_k = alpha_u^k beta_i^k / sum_l alpha_u^l beta_i^l; every feature has
               D_k numbers at every level, and log alpha or log beta as one more: the
               weights stay positive, and fit by gradient as logits of a softmax (the
               paper takes turns: iterated conditional modes)
    `ffm`      x_i x_j v_{i, f_j} . v_{j, f_i}, f the fields: D_1 numbers for each other
               field, in one row of n_fields D_1 numbers (the own field's part serves
               pairs within a field). No row is scaled to length 1, as other programs
               do: scale `values` for that

    LR has no level, FM and FFM one, the others several. B_1k, the model cut off at
    level k, takes no higher level: for DiFacto the blocks up to k, for MRMA the mixture
    of the first k.

    Attributes
    ----------
    name : one of `MODELS`
    layout : which feature has an embedding of which rank
    loss : `log` (labels 0 and 1) or `square`
    projection : of `rafm`, what a dependent factor (i in F_k+1, at level k < m) learns
        from. `algorithm1`: only from being like the next level, loss'(z_k, z_k+1) x_i
        (s_k - x_i v_i). `joint`: also from the prediction through its products with
        free factors, + loss'(z_m, y) x_i (s_k - t_k), as the released program does

    References
    ----------
    RaFM: Eq. (7), Theorem 3 and Algorithm 1 of Chen et al., ICML 2019; FM: Rendle, ICDM
    2010; DiFacto: Li et al., WSDM 2016 (without its L1 gate on v: ranks come from
    counts); MRMA: Li et al., NeurIPS 2017; FFM: Juan et al., RecSys 2016
    """

    name: ModelName
    layout: RankLayout
    loss: Loss
    projection: Projection = "joint"

    def __post_init__(self) -> None:
        """Check the names, and that the layout is one of the model."""
        check_loss(self.loss)
        check_model_name(self.name)
        if self.projection not in PROJECTIONS:
            raise ValueError(
                f"unknown projection {self.projection!r}; choose one of "
                f"{', '.join(PROJECTIONS)}"
            )
        check_ranks_fit(self.name, self.layout.rank_dims)
        if self.name == "ffm":
            check_fields_fit(self.name, self.n_fields)
        widths = _table_dims(self.name, self.layout.rank_dims, self.n_fields)
        if self.layout.table_dims != widths:
            raise ValueError(
                f"`table_dims` of model {self.name!r} must be {list(widths)}, got "
                f"{list(self.layout.table_dims)}; make the layout by `make_layout`"
            )

    @property
    def n_fields(self) -> int:
        """Fields that an FFM tells apart; 0 for other models."""
        dims = self.layout
        return dims.table_dims[0] // dims.rank_dims[0] if self.name == "ffm" else 0

    @property
    def dependents(self) -> tuple[int, ...]:
        """Of each level, how many features have a dependent factor: ids below it."""
        sizes = self.layout.features_at_rank
        return (
            (*sizes[1:], 0)[: len(sizes)] if self.name == "rafm" else (0,) * len(sizes)
        )


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
    n_fields: int | None = None,
) -> Model:
    """Make a model for features with these training counts.

    Parameters
    ----------
    name : `lr` (no rank), `fm`, `ffm` (one rank), or `rafm`, `difacto`, `mrma` (one or
        more)
    loss : `log` or `square`
    projection : `joint` or `algorithm1`, see `Model`
    counts, rank_dims, rank_rule, thresholds, levels, n_fields : as in `make_layout`

    Raises
    ------
    ValueError                   for an unknown name, or what does not fit the model
    """
    layout = make_layout(
        name,
        counts,
        rank_dims,
        rank_rule,
        thresholds=thresholds,
        levels=levels,
        n_fields=n_fields,
    )
    return Model(name, layout, loss, projection)


def make_layout(
    name: ModelName,
    counts: ArrayLike,
    rank_dims: Sequence[int],
    rank_rule: RankRule = "eq17",
    *,
    thresholds: Sequence[float] | None = None,
    levels: ArrayLike | None = None,
    n_fields: int | None = None,
) -> RankLayout:
    """Lay a model's ranks out over features with these training counts.

    Parameters
    ----------
    name : of the model
    counts, rank_dims, thresholds, levels : as in `RankLayout.from_counts`
    rank_rule : `rule` of `RankLayout.from_counts`; `mrma` takes none
    n_fields : fields of the data; for `ffm` at least 2

    Raises
    ------
    ValueError                   for an unknown name, or what does not fit the model
    """
    check_model_name(name)
    check_ranks_fit(name, rank_dims)
    check_rank_rule_fits(name, rank_rule)
    if name in FIELD_MODELS:
        check_fields_fit(name, n_fields)
    layout = RankLayout.from_counts(
        counts, rank_dims, rank_rule, thresholds=thresholds, levels=levels
    )
    if name == "mrma":
        everywhere = (layout.n_features,) * layout.n_levels
        layout = replace(layout, features_at_rank=everywhere)
    widths = _table_dims(name, layout.rank_dims, n_fields or 0)
    return replace(layout, table_dims=widths)


def _table_dims(name: str, dims: tuple[int, ...], n_fields: int) -> tuple[int, ...]:
    """Numbers that a feature stores at each level."""
    if name == "difacto":
        return tuple(high - low for low, high in itertools.pairwise((0, *dims)))
    if name == "mrma":
        return tuple(dim + 1 for dim in dims)
    if name == "ffm":
        return tuple(n_fields * dim for dim in dims)
    return dims


def check_model_name(name: str) -> None:
    """Raise ValueError for a model that is not one of `MODELS`."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")


def check_ranks_fit(name: str, rank_dims: Sequence[int]) -> None:
    """Raise ValueError unless the model takes that many ranks."""
    dims = list(rank_dims)
    if name == "lr" and dims:
        raise ValueError(f"model 'lr' has no embeddings and takes no ranks, got {dims}")
    if name in ("fm", "ffm") and len(dims) != 1:
        raise ValueError(
            f"model {name!r} takes one rank, got {dims}; use 'rafm' for several ranks"
        )
    if name in ("rafm", "difacto", "mrma") and not dims:
        raise ValueError(f"model {name!r} needs at least one rank, for example 32,128")


def check_rank_rule_fits(name: str, rank_rule: str) -> None:
    """Raise ValueError where a rank rule is asked of a model that has no use for it."""
    if name == "mrma" and rank_rule != "eq17":
        raise ValueError(
            f"model 'mrma' gives every feature every rank and takes no rank rule, got "
            f"{rank_rule!r}; leave it out, or use 'rafm' or 'difacto'"
        )


def check_fields_fit(name: str, n_fields: int | None) -> None:
    """Raise ValueError unless the model can work on data of that many fields.

    MRMA's rows are checked one by one (`check_batch`), so it may leave `n_fields` out.
    """
    found = "none" if n_fields is None else n_fields
    if name == "mrma" and n_fields not in (None, 2):
        raise ValueError(
            f"model 'mrma' rates one feature by another, such as an item by a user: it "
            f"needs data of exactly two fields, got {found}; use 'rafm' or 'difacto'"
        )
    if name == "ffm" and (n_fields is None or n_fields < 2):
        raise ValueError(
            f"model 'ffm' has a vector for each other field: it needs data of two or "
            f"more fields, got {found}; use 'fm' where features have no fields"
        )
