"""The counts that ids and ranks go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rafm_datasets import PreparedData


def counted_in(data: PreparedData) -> str:
    """Name the rows that count: training, or all splits (the paper's protocol)."""
    rule = data.manifest.parameters.get("count_splits")
    return "all splits" if rule == "all" else "training"


def level_counts(data: PreparedData) -> NDArray[np.int64]:
    """Return how often each feature counts, int64[n_features], never increasing."""
    if counted_in(data) == "training":
        return data.train_counts()
    splits = data.frequencies().select("train_count", "valid_count", "test_count")
    counts: NDArray[np.int64] = splits.sum_horizontal().to_numpy()
    return counts
