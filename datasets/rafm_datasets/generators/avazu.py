"""Generated `avazu` rows: the columns of train.csv, planted so that ranks matter.

The numbers of values are those of the contest's file, as published. Rows come shuffled,
from ten days of October 2014; about half of the ids need 20 digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.generators import TextLayout
from rafm_datasets.generators.texts import hex_texts
from rafm_datasets.order import hash_indices, stream_key
from rafm_datasets.planted import PlantedField, PlantedModel, Scales, coin_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.generators import Generator

LAYOUT = TextLayout(separator=",", header=True)
SCALES = Scales(intercept=-2.8, linear=0.12, vector=0.5)
_INTERACTING = {"site_id", "app_id", "device_model", "C14", "C17", "C21"}
_N_VALUES = {
    "hour": 24,
    "C1": 7,
    "banner_pos": 7,
    "site_id": 4_737,
    "site_domain": 7_745,
    "site_category": 26,
    "app_id": 8_552,
    "app_domain": 559,
    "app_category": 36,
    "device_id": 2_686_408,
    "device_ip": 6_729_486,
    "device_model": 8_251,
    "device_type": 5,
    "device_conn_type": 4,
    "C14": 2_626,
    "C15": 8,
    "C16": 9,
    "C17": 435,
    "C18": 4,
    "C19": 68,
    "C20": 172,
    "C21": 60,
}
FIELDS = tuple(
    PlantedField(name, n, interacts=name in _INTERACTING)
    for name, n in _N_VALUES.items()
)
_LOWEST = {"C1": 1001, "C14": 375, "C15": 120, "C16": 20, "C17": 112, "C19": 33}
_FIRST_DAY, _N_DAYS = 14_102_100, 10  # 21 October 2014, hour 0, as YYMMDDHH


def plant(seed: int) -> PlantedModel:
    """Make the planted model of a seed, as in `Generator.plant`."""
    return PlantedModel(FIELDS, SCALES, seed)


def frame(model: PlantedModel, rows: NDArray[np.int64]) -> tuple[pl.DataFrame, float]:
    """Make raw rows, as in `Generator.frame`."""
    values = model.draw(rows)
    labels, loss = coin_labels(model, model.scores(values), rows)
    day = hash_indices(stream_key(model.seed, "day"), rows) % np.uint64(_N_DAYS)
    # The busiest hour is early in the afternoon, the quietest late at night.
    hour = (values["hour"] * 5 + 13) % 24
    columns = {
        "id": pl.Series(hash_indices(stream_key(model.seed, "id"), rows)),
        "click": pl.Series(labels),
        "hour": pl.Series(_FIRST_DAY + 100 * day.astype(np.int64) + hour),
    }
    present = np.zeros(len(rows), np.bool_)
    for name, value in values.items():
        if name.startswith(("site", "app", "device_i", "device_m")):
            key = stream_key(model.seed, "text", name)
            columns[name] = hex_texts(value, key, present)
        elif name == "C20":
            columns[name] = pl.Series(np.where(value, 99_999 + value, -1))
        elif name != "hour":
            columns[name] = pl.Series(value + _LOWEST.get(name, 0))
    return pl.DataFrame(columns), loss


if TYPE_CHECKING:
    import rafm_datasets.generators.avazu as _this

    _generator: Generator = _this
