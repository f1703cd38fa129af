"""Generated `criteo` rows: the columns of train.txt, planted so that ranks matter.

`SCALES` were chosen so that 200,000 rows are enough to tell models apart. Test log loss
after training on 160,000 of them (seed 0; AdaGrad 0.05, L2 1e-3, batch 256, best epoch
by validation): base rate 0.630, LR 0.618, FM of rank 8 0.551 with 2.6 M parameters (4:
0.561, 16: 0.554, 32: 0.563), RaFM of ranks 2,8,32 0.535 with 1.6 M; the planted model
itself has 0.364. Seed 1: 0.602, 0.591, 0.518, 0.504, 0.339.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.generators import TextLayout
from rafm_datasets.generators.texts import hex_texts, numbers
from rafm_datasets.order import hash_indices, stream_key
from rafm_datasets.planted import (
    MISSING,
    PlantedField,
    PlantedModel,
    Scales,
    coin_labels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.generators import Generator

LAYOUT = TextLayout(separator="\t", header=False)
SCALES = Scales(intercept=-1.4, linear=0.08, vector=0.55)
N_BUCKETS = 80
_NEGATIVES = 2  # buckets of I2 that hold -1 and -2
_INTERACTING = {"I5", "I8", "C5", "C7", "C8", "C10"}
# fmt: off
_INTEGER_MISSING = (
    0.45, 0.0, 0.21, 0.22, 0.03, 0.22, 0.04, 0.0, 0.04, 0.45, 0.04, 0.77, 0.22,
)
_N_VALUES = (
    1_460, 583, 1_000_000, 500_000, 305, 24, 12_517, 633, 3, 93_145, 5_683, 800_000,
    3_194, 27, 14_992, 546_000, 10, 5_652, 2_173, 4, 700_000, 18, 15, 286_000, 105,
    142_000,
)
_VALUE_MISSING = {
    3: 0.03, 4: 0.03, 6: 0.12, 12: 0.03, 16: 0.03, 19: 0.44, 20: 0.44, 21: 0.03,
    22: 0.76, 24: 0.03, 25: 0.44, 26: 0.44,
}
# fmt: on
FIELDS = (
    *(
        PlantedField(f"I{i}", N_BUCKETS, missing, f"I{i}" in _INTERACTING)
        for i, missing in enumerate(_INTEGER_MISSING, 1)
    ),
    *(
        PlantedField(f"C{i}", n, _VALUE_MISSING.get(i, 0.0), f"C{i}" in _INTERACTING)
        for i, n in enumerate(_N_VALUES, 1)
    ),
)
_LOWEST = np.array(
    [0, 1, 2, *(int(np.ceil(np.exp(np.sqrt(b)))) for b in range(3, N_BUCKETS + 1))]
)


def plant(seed: int) -> PlantedModel:
    """Make the planted model of a seed, as in `Generator.plant`."""
    return PlantedModel(FIELDS, SCALES, seed)


def frame(model: PlantedModel, rows: NDArray[np.int64]) -> tuple[pl.DataFrame, float]:
    """Make raw rows, as in `Generator.frame`."""
    values = model.draw(rows)
    labels, loss = coin_labels(model, model.scores(values), rows)
    columns = {"label": pl.Series(labels)}
    for place, field in enumerate(FIELDS):
        value = values[field.name]
        missing = value == MISSING
        if field.name.startswith("I"):
            columns[field.name] = numbers(_integer(value, place, rows), missing)
        else:
            key = stream_key(model.seed, "text", field.name)
            columns[field.name] = hex_texts(np.maximum(value, 0), key, missing)
    return pl.DataFrame(columns), loss


def _integer(
    value: NDArray[np.int64], place: int, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give an integer in each value's bucket; another one is popular in each field."""
    bucket = (np.maximum(value, 0) + place) % N_BUCKETS
    low = _LOWEST[bucket]
    width = (_LOWEST[np.minimum(bucket + 1, N_BUCKETS)] - low).clip(1)
    width[bucket < 3] = 1
    within = hash_indices(stream_key(place, "within"), rows) % width.astype(np.uint64)
    number: NDArray[np.int64] = low + within.astype(np.int64)
    if place == 1:
        negative = bucket >= N_BUCKETS - _NEGATIVES
        number[negative] = bucket[negative] - N_BUCKETS
    return number


if TYPE_CHECKING:
    import rafm_datasets.generators.criteo as _this

    _generator: Generator = _this
