"""The table of generators: raw layouts that can be written at any size."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from rafm_datasets.planted import PlantedModel

GENERATORS = {
    "avazu": "rafm_datasets.generators.avazu",
    "criteo": "rafm_datasets.generators.criteo",
    "movielens": "rafm_datasets.generators.movielens",
}


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a frame is written as text."""

    separator: str
    header: bool


class Generator(Protocol):
    """What a module in `GENERATORS` offers."""

    @property
    def LAYOUT(self) -> TextLayout:
        """How its frames are written."""

    def plant(self, seed: int) -> PlantedModel:
        """Make the planted model of a seed."""

    def frame(
        self, model: PlantedModel, rows: NDArray[np.int64]
    ) -> tuple[pl.DataFrame, float]:
        """Make raw rows, in the layout's columns.

        Parameters
        ----------
        model : PlantedModel           of `plant`
        rows : int64[n]                row numbers

        Returns
        -------
        polars.DataFrame, float        the rows; the sum of the losses (log or square)
                                       that the planted model itself has on them
        """


def generator_names() -> tuple[str, ...]:
    """List the layouts that can be generated, sorted."""
    return tuple(sorted(GENERATORS))


def load_generator(name: str) -> Generator:
    """Import the generator of that layout; DataError when there is none."""
    if name not in GENERATORS:
        known = ", ".join(generator_names())
        raise DataError(f"there is no generator for {name!r}; choose one of {known}")
    return cast("Generator", importlib.import_module(GENERATORS[name]))
