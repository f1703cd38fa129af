"""Rows as every side reads them; numpy is all that this needs."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """One-hot rows: int32[n, n_fields] of global ids, float32[n] of labels 0 and 1."""

    ids: np.ndarray
    labels: np.ndarray


class Rows(NamedTuple):
    """Three splits; ids go by descending training count, `counts` are those counts."""

    train: Part
    valid: Part
    test: Part
    counts: np.ndarray


def load(path):
    with np.load(Path(path)) as saved:
        parts = (
            Part(saved[f"{name}_ids"], saved[f"{name}_y"]) for name in Rows._fields[:3]
        )
        return Rows(*parts, saved["counts"])
