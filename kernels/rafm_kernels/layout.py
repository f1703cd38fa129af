"""Which features carry an embedding at which rank level, and what that costs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

IntArray: TypeAlias = NDArray[np.int64]
RankRule = Literal["eq17", "thresholds", "explicit"]
RANK_RULES: tuple[str, ...] = get_args(RankRule)


@dataclass(frozen=True, slots=True)
class RankLayout:
    """The sets F_1 >= F_2 >= ... >= F_m and their ranks D_1 < ... < D_m.

    Ids are ranks: features are numbered by descending training count, so F_k is
    `id < features_at_rank[k - 1]`, a number instead of a set.

    Attributes
    ----------
    rank_dims : D_k, strictly increasing; () for a linear model, (D,) for FM
    features_at_rank : |F_k|, never increasing; the first is `n_features`
    n_features : number of ids, reserved ones included
    n_trained : features seen in training; as ids are ranks, these come first
    order : int32[n_features] the layout's id of each id of the data, where k_i does
        not fall with the id (explicit levels); None where ids need no change
    table_dims : numbers that a feature of F_k stores at level k; `rank_dims` where none
        are given, and for models that store something else what `Model` says

    References
    ----------
    Eq. (17) and Proposition 1 of Chen et al., ICML 2019
    """

    rank_dims: tuple[int, ...]
    features_at_rank: tuple[int, ...]
    n_features: int
    n_trained: int
    order: NDArray[np.int32] | None = field(default=None, hash=False)
    table_dims: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Compare field by field, `order` by its numbers."""
        if not isinstance(other, RankLayout):
            return NotImplemented
        mine, theirs = (
            (a.rank_dims, a.features_at_rank, a.n_features, a.n_trained, a.table_dims)
            for a in (self, other)
        )
        if self.order is None or other.order is None:
            return mine == theirs and self.order is other.order
        return mine == theirs and np.array_equal(self.order, other.order)

    def __post_init__(self) -> None:
        """Check the invariants once, where the noun is made."""
        check_rank_dims(self.rank_dims)
        if not 0 <= self.n_trained <= self.n_features:
            raise ValueError(
                f"`n_trained` must lie in 0..{self.n_features}, the number of "
                f"features, got {self.n_trained}"
            )
        if self.order is not None:
            _check_order(self.order, self.n_features)
        if not self.table_dims:
            object.__setattr__(self, "table_dims", self.rank_dims)
        sizes = self.features_at_rank
        if len(sizes) != len(self.rank_dims):
            raise ValueError(
                f"`features_at_rank` needs one size for each of the "
                f"{len(self.rank_dims)} ranks, got {len(sizes)}"
            )
        if any(a < b for a, b in itertools.pairwise(sizes)):
            raise ValueError(
                f"`features_at_rank` must never increase, got {list(sizes)}"
            )
        if sizes and sizes[0] != self.n_features:
            raise ValueError(
                f"every feature has an embedding of the lowest rank: "
                f"`features_at_rank` must begin with {self.n_features}, got {sizes[0]}"
            )

    @classmethod
    def from_counts(
        cls,
        counts: ArrayLike,
        rank_dims: Sequence[int],
        rule: RankRule = "eq17",
        *,
        thresholds: Sequence[float] | None = None,
        levels: ArrayLike | None = None,
    ) -> RankLayout:
        """Give each feature its level k_i, by its training count or as told.

        Parameters
        ----------
        counts : int64[n_features]   training count of each id, never increasing
        rank_dims : D_1 < ... < D_m; empty for a linear model
        rule : `eq17` (nearest rank in log scale, a tie goes to the lower), `thresholds`
            (level k + 1 where the count is above thresholds[k - 1]) or `explicit`
        thresholds : float[n_levels - 1]   c_k, never decreasing; for `thresholds` only
        levels : int64[n_features]   k_i in 1..n_levels; for `explicit` only; a feature
            never seen in training is put at level 1 whatever it says

        Returns
        -------
        RankLayout                   with `order` where `levels` does not fall with id

        Raises
        ------
        ValueError                   for an unsorted argument or one of another rule

        References
        ----------
        Eq. (17) of Chen et al., ICML 2019; `thresholds` is the rule of their program
        """
        counts = _checked_counts(counts)
        dims = tuple(int(d) for d in rank_dims)
        check_rank_dims(dims)
        _check_rule_arguments(rule, dims, thresholds, levels)
        order = None
        if rule == "explicit":
            k_i = _checked_levels(levels, len(counts), len(dims))
            k_i = np.where(counts > 0, k_i, min(1, len(dims)))
            order = _order_by_level(k_i)
            sizes = [int(np.count_nonzero(k_i > k)) for k in range(len(dims))]
        elif rule == "thresholds":
            assert thresholds is not None
            sizes = [int(np.count_nonzero(counts > c)) for c in thresholds]
            sizes = [len(counts), *sizes] if dims else []
        else:
            sizes = _eq17_sizes(counts, dims)
        n_trained = int(np.count_nonzero(counts))
        return cls(dims, tuple(sizes), len(counts), n_trained, order)

    @property
    def n_levels(self) -> int:
        """Number of rank levels m; 0 for a linear model."""
        return len(self.rank_dims)

    @property
    def n_embedding_parameters(self) -> int:
        """Stored embedding numbers, sum_k D_k |F_k| for RaFM (Proposition 1)."""
        pairs = zip(self.table_dims, self.features_at_rank, strict=True)
        return sum(dim * size for dim, size in pairs)

    @property
    def n_parameters(self) -> int:
        """All parameters: embeddings, one linear weight a feature, and the bias."""
        return self.n_embedding_parameters + self.n_features + 1

    def features_per_row(self, counts: ArrayLike, n_rows: int) -> NDArray[np.float64]:
        """Mean number of active features of a row in each F_k: n(F_k), float64[m].

        Parameters
        ----------
        counts : int64[n_features]   occurrences of each id of the data in `n_rows` rows
        n_rows : rows counted, above 0
        """
        laid_out = np.asarray(counts, dtype=np.int64)
        if self.order is not None:
            laid_out = np.empty_like(laid_out)
            laid_out[self.order] = counts
        below = np.concatenate([[0], np.cumsum(laid_out)])
        return below[list(self.features_at_rank)] / n_rows

    def cost_per_row(self, counts: ArrayLike, n_rows: int) -> float:
        """Embedding numbers that a row touches: sum_k D_k n(F_k) for RaFM (Table 1)."""
        per_row = self.features_per_row(counts, n_rows)
        return float(np.dot(np.asarray(self.table_dims, dtype=np.float64), per_row))

    def level_of(self, ids: ArrayLike) -> IntArray:
        """Level k_i of each id of the data, int64 of the same shape; 1 is the lowest.

        With no level at all (a linear model) every id has level 0.
        """
        laid_out = self.remap(np.asarray(ids))
        sizes = np.asarray(self.features_at_rank, dtype=np.int64)
        levels: IntArray = (laid_out[..., None] < sizes).sum(axis=-1, dtype=np.int64)
        return levels

    def remap(self, ids: NDArray[np.integer]) -> NDArray[np.integer]:
        """Ids of the data as ids of the layout: `ids` itself where they agree."""
        return ids if self.order is None else self.order[ids]


def check_rank_dims(rank_dims: Sequence[int]) -> None:
    """Raise ValueError unless the ranks are positive and increase strictly."""
    for index, dim in enumerate(rank_dims):
        if dim < 1:
            raise ValueError(
                f"`rank_dims` must be at least 1, got {dim} at index {index}"
            )
        if index and dim <= rank_dims[index - 1]:
            raise ValueError(
                f"`rank_dims` must increase strictly, got {dim} after "
                f"{rank_dims[index - 1]} at index {index}; sort it, or drop the "
                f"duplicate rank"
            )


def _eq17_sizes(counts: IntArray, dims: tuple[int, ...]) -> list[int]:
    """|F_k| by Eq. (17): the level passes k where n_i is above sqrt(D_k D_k+1).

    Compared as n_i^2 > D_k D_k+1, in integers, so that a tie is a tie.
    """
    if not dims:
        return []
    capped = np.minimum(counts, 2**31)  # its square fits int64, and no rank is larger
    cuts = [a * b for a, b in itertools.pairwise(dims)]
    return [len(counts), *(int(np.count_nonzero(capped**2 > cut)) for cut in cuts)]


def _order_by_level(k_i: IntArray) -> NDArray[np.int32] | None:
    """Renumber ids so that levels never rise with them; None if they never do."""
    if np.all(k_i[:-1] >= k_i[1:]):
        return None
    order = np.empty(len(k_i), dtype=np.int32)
    order[np.argsort(-k_i, kind="stable")] = np.arange(len(k_i), dtype=np.int32)
    return order


def _check_order(order: NDArray[np.int32], n_features: int) -> None:
    """Raise ValueError unless `order` holds each id of the layout once."""
    if order.shape != (n_features,) or order.dtype != np.int32:
        raise ValueError(
            f"`order` must be int32[{n_features}], got {order.dtype}{list(order.shape)}"
        )
    given = np.zeros(n_features, dtype=bool)
    if n_features and order.view(np.uint32).max() < n_features:
        given[order] = True
    if not given.all():
        raise ValueError(
            f"`order` must hold each of 0..{n_features - 1} once; make the layout by "
            "`RankLayout.from_counts`"
        )


def _checked_counts(counts: ArrayLike) -> IntArray:
    array = np.asarray(counts)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`counts` must be a one-dimensional integer array, got {array.dtype} "
            f"of shape {array.shape}"
        )
    array = array.astype(np.int64, copy=False)
    rises = np.flatnonzero(array[1:] > array[:-1])
    if len(rises):
        at = int(rises[0]) + 1
        raise ValueError(
            f"`counts` must never increase, as ids go by descending count, got "
            f"{array[at]} after {array[at - 1]} at id {at}; number features by count"
        )
    if len(array) and array[-1] < 0:
        raise ValueError(f"`counts` must not be negative, got {array[-1]}")
    return array


def _checked_levels(levels: ArrayLike | None, n_features: int, m: int) -> IntArray:
    array = np.asarray(levels)
    if array.shape != (n_features,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`levels` must hold one integer for each of {n_features} features, got "
            f"{array.dtype} of shape {array.shape}"
        )
    wrong = np.flatnonzero((array < 1) | (array > m))
    if len(wrong):
        raise ValueError(
            f"`levels` must lie in 1..{m} (one for each rank), got {array[wrong[0]]} "
            f"at id {wrong[0]}"
        )
    return array.astype(np.int64, copy=False)


def _check_rule_arguments(
    rule: str,
    dims: tuple[int, ...],
    thresholds: Sequence[float] | None,
    levels: ArrayLike | None,
) -> None:
    if rule not in RANK_RULES:
        raise ValueError(
            f"unknown rank rule {rule!r}; choose one of {', '.join(RANK_RULES)}"
        )
    given = {"thresholds": thresholds is not None, "explicit": levels is not None}
    argument = {"thresholds": "thresholds", "explicit": "levels"}
    for owner, is_given in given.items():
        if is_given != (rule == owner):
            verb = "does not take" if is_given else "needs"
            raise ValueError(f"rank rule {rule!r} {verb} `{argument[owner]}`")
    if thresholds is None:
        return
    if len(thresholds) != max(len(dims) - 1, 0):
        raise ValueError(
            f"`thresholds` needs {max(len(dims) - 1, 0)} numbers, one between each two "
            f"of the {len(dims)} ranks, got {len(thresholds)}"
        )
    if any(a > b for a, b in itertools.pairwise(thresholds)):
        raise ValueError(f"`thresholds` must not decrease, got {list(thresholds)}")
