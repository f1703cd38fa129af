"""What prepared data holds, and what a rank layout on it would cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_bench.cost import Cost, predict_cost
from rafm_bench.counts import counted_in, level_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets import PreparedData
    from rafm_datasets.manifest import Split
    from rafm_kernels import RankLayout


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """Rows of a split and the mean of their labels (the share of positives)."""

    name: str
    n_rows: int
    label_mean: float | None


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """A field, and how many features it has."""

    name: str
    n_features: int
    multi: bool


@dataclass(frozen=True, slots=True)
class FrequencyBin:
    """Features that count `lowest`..`highest` times (the paper's Fig. 1)."""

    lowest: int
    highest: int
    n_features: int


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """One rank level: D_k, |F_k|, n(F_k), and the smallest count in F_k.

    `least_count` is a cut on the count axis, None where levels do not follow counts.
    """

    rank: int
    n_features: int
    features_per_row: float
    least_count: int | None


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What `inspect` tells; `levels` and `cost` only when ranks were given."""

    folder: str
    fingerprint: str
    task: str
    n_features: int
    n_trained: int
    counted_in: str
    splits: tuple[SplitSummary, ...]
    fields: tuple[FieldSummary, ...]
    frequencies: tuple[FrequencyBin, ...]
    levels: tuple[LevelSummary, ...] = ()
    cost: Cost | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it all as JSON has it."""
        return asdict(self)


def summarize(data: PreparedData, layout: RankLayout | None = None) -> DataSummary:
    """Summarize prepared data, and a layout on it where one is given."""
    counts, trained = level_counts(data), data.train_counts()
    cost = predict_cost(layout, trained, data.rows("train")) if layout else None
    return DataSummary(
        folder=str(data.folder),
        fingerprint=data.fingerprint,
        task=data.task,
        n_features=data.n_features,
        n_trained=int(np.count_nonzero(trained)),
        counted_in=counted_in(data),
        splits=tuple(
            SplitSummary(name, split.rows, _label_mean(split))
            for name, split in data.manifest.splits.items()
        ),
        fields=tuple(
            FieldSummary(field.name, field.n_features, field.multi)
            for field in data.fields
        ),
        frequencies=frequency_bins(counts),
        levels=_levels(layout, counts, cost) if layout and cost else (),
        cost=cost,
    )


def frequency_bins(counts: NDArray[np.int64]) -> tuple[FrequencyBin, ...]:
    """Count features by the power of two of their count; count 0 apart."""
    bins = [FrequencyBin(0, 0, int(np.count_nonzero(counts == 0)))]
    exponents = np.frexp(counts[counts > 0].astype(np.float64))[1] - 1
    for exponent, n_features in enumerate(np.bincount(exponents).tolist()):
        bins.append(FrequencyBin(2**exponent, 2 ** (exponent + 1) - 1, n_features))
    return tuple(bins)


def _label_mean(split: Split) -> float | None:
    if split.positives is None or not split.rows:
        return split.label_mean
    return split.positives / split.rows


def _levels(
    layout: RankLayout, counts: NDArray[np.int64], cost: Cost
) -> tuple[LevelSummary, ...]:
    sizes = layout.features_at_rank
    rows = zip(layout.rank_dims, sizes, cost.features_per_row, strict=True)
    follow_counts = layout.order is None
    return tuple(
        LevelSummary(
            rank=rank,
            n_features=size,
            features_per_row=per_row,
            least_count=int(counts[size - 1]) if follow_counts and size else None,
        )
        for rank, size, per_row in rows
    )
