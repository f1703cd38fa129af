"""Generated `movielens` rows: ratings.csv as in the 20M release and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.generators import TextLayout
from rafm_datasets.order import hash_indices, stream_key
from rafm_datasets.planted import PlantedField, PlantedModel, Scales, normals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.generators import Generator

LAYOUT = TextLayout(separator=",", header=True)
SCALES = Scales(intercept=3.5, linear=0.35, vector=0.42)
NOISE = 0.75  # spread of a rating around its score, before it is rounded
FIELDS = (
    PlantedField("user", 138_493, interacts=True, skew=0.7),
    PlantedField("item", 26_744, interacts=True, skew=0.9),
)
_FIRST_SECOND, _SECONDS = 789_652_009, 638_000_000  # January 1995, 20 years on


def plant(seed: int) -> PlantedModel:
    """Make the planted model of a seed, as in `Generator.plant`."""
    return PlantedModel(FIELDS, SCALES, seed)


def frame(model: PlantedModel, rows: NDArray[np.int64]) -> tuple[pl.DataFrame, float]:
    """Make raw rows, as in `Generator.frame`."""
    values = model.draw(rows)
    z = model.scores(values)
    noise = normals(stream_key(model.seed, "noise"), rows)
    stars = np.clip(np.round(2 * (z + NOISE * noise)) / 2, 0.5, 5.0)
    loss = ((stars - np.clip(z, 0.5, 5.0)) ** 2).sum()
    seconds = hash_indices(stream_key(model.seed, "time"), rows) % np.uint64(_SECONDS)
    columns = {
        "userId": _ids(values["user"], FIELDS[0]),
        "movieId": _ids(values["item"], FIELDS[1]),
        "rating": stars,
        "timestamp": seconds.astype(np.int64) + _FIRST_SECOND,
    }
    return pl.DataFrame(columns), float(loss)


def _ids(value: NDArray[np.int64], field: PlantedField) -> NDArray[np.int64]:
    """Give ids from 1 on, those of popular values anywhere among them."""
    return value * 7_919 % field.n_values + 1


if TYPE_CHECKING:
    import rafm_datasets.generators.movielens as _this

    _generator: Generator = _this
