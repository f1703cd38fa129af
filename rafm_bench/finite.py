"""Whether parameters are finite, asked after a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_kernels import Parameters


def all_finite(parameters: Parameters) -> bool:
    """Tell whether all numbers are finite; memory: none."""
    return all(_finite(array) for array in parameters)


def _finite(array: NDArray[np.floating]) -> bool:
    """Ask the extremes, which are NaN where any number is: no array of answers."""
    return not array.size or bool(np.isfinite(array.min()) and np.isfinite(array.max()))
