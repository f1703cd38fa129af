"""What a rank layout costs, predicted from counts, beside an FM of its top rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rafm_kernels import RankLayout


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters and predicted work of a layout beside FM's of rank D_m.

    Attributes
    ----------
    n_parameters, fm_n_parameters : all that is stored: embeddings, linear, bias
    per_row, fm_per_row : embedding numbers a row touches, sum_k D_k n(F_k) and D_m n(F)
    ratio : per_row / fm_per_row, the predicted time against FM; None without ranks
    features_per_row : n(F_k), mean active features of a row in each F_k
    """

    n_parameters: int
    fm_n_parameters: int
    per_row: float
    fm_per_row: float
    ratio: float | None
    features_per_row: tuple[float, ...]


def predict_cost(layout: RankLayout, counts: NDArray[np.int64], n_rows: int) -> Cost:
    """Predict what a layout costs per row.

    Parameters
    ----------
    layout : ranks and the features that have them
    counts : int64[n_features]        occurrences of each feature in `n_rows` rows
    n_rows : rows counted

    References
    ----------
    Table 1 of Chen et al., ICML 2019, with n(F_k) in place of |F_k|
    """
    highest = layout.rank_dims[-1] if layout.rank_dims else 0
    per_row = layout.cost_per_row(counts, n_rows)
    fm_per_row = highest * float(counts.sum()) / n_rows
    return Cost(
        n_parameters=layout.n_parameters,
        fm_n_parameters=(highest + 1) * layout.n_features + 1,
        per_row=per_row,
        fm_per_row=fm_per_row,
        ratio=per_row / fm_per_row if fm_per_row else None,
        features_per_row=tuple(layout.features_per_row(counts, n_rows).tolist()),
    )
