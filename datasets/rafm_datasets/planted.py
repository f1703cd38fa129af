"""A planted model: Zipf frequencies, ranks that fall with them, any row by number.

Field f draws the popularity r of its value from a bounded power law. A value has a
linear weight and, in the interacting fields, a vector with as many dimensions as its
frequency carries: the popular few have `RANKS[0]`, the many rare ones `RANKS[-1]`.
The score z is that of a factorization machine of these weights and vectors; the label
is a coin of log odds z, or z with noise. Their `Scales` set how much there is to learn.

Everything is a hash of (seed, field, row) or of (seed, field, value), so rows can be
made in any order and number; vectors come from a pool of `POOL` drawn once, which keeps
memory constant however many values there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from rafm_datasets.order import hash_indices, stream_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

POOL = 1 << 14
RANKS = (8, 2, 1)  # of the vectors of popular, middling and rare values
POPULAR = (3e-3, 1e-4)  # least probability of a popular, and of a middling value
MISSING = -1  # popularity of a missing value


@dataclass(frozen=True, slots=True)
class PlantedField:
    """One field: how many values, how skewed, how often missing, does it interact."""

    name: str
    n_values: int
    missing: float = 0.0
    interacts: bool = False
    skew: float = 1.1

    def popularity(self, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        """Draw values: 0 the most popular, `MISSING` where it is missing.

        Parameters
        ----------
        uniform : float64[n]           in [0, 1)

        Returns
        -------
        int64[n]
        """
        exponent = 1 - self.skew
        present = (uniform - self.missing) / (1 - self.missing)
        mass = 1 - np.maximum(present, 0) * (1 - (self.n_values + 1.0) ** exponent)
        drawn = np.minimum(mass ** (1 / exponent), self.n_values).astype(np.int64) - 1
        drawn[present < 0] = MISSING
        return cast("NDArray[np.int64]", drawn)

    def bounds(self, least: Sequence[float]) -> list[int]:
        """Count the values that are at least so probable, for each of `least`."""
        exponent = 1 - self.skew
        edges = np.arange(1, min(self.n_values, 1 << 20) + 2) ** exponent
        probability = (edges[:-1] - edges[1:]) / (1 - (self.n_values + 1.0) ** exponent)
        return [int((probability >= p).sum()) for p in least]


@dataclass(frozen=True, slots=True)
class Scales:
    """Intercept, spread of linear weights, spread of each number of a vector."""

    intercept: float
    linear: float
    vector: float


class PlantedModel:
    """The planted model over some fields; see the module's text.

    Parameters
    ----------
    fields : sequence of PlantedField
    scales : Scales
    seed : int
    """

    def __init__(
        self, fields: Sequence[PlantedField], scales: Scales, seed: int
    ) -> None:
        self._fields = tuple(fields)
        self.seed = seed
        self._scales = scales
        self._bounds = [field.bounds(POPULAR) for field in fields]
        pool = normals(stream_key(seed, "pool"), np.arange(POOL * (1 + RANKS[0])))
        self._weights = scales.linear * pool[:POOL]
        vectors = scales.vector * pool[POOL:].reshape(POOL, RANKS[0])
        below = [np.arange(RANKS[0]) < rank for rank in RANKS]
        self._vectors = np.concatenate([vectors * kept for kept in below])
        self._norms = (self._vectors**2).sum(axis=1)

    def draw(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Draw the value of every field for some rows.

        Parameters
        ----------
        rows : int64[n]                row numbers

        Returns
        -------
        dict of int64[n]               by field name: popularity, 0 the highest
        """
        return {
            field.name: field.popularity(self.uniform("value", field.name, rows))
            for field in self._fields
        }

    def scores(self, values: dict[str, NDArray[np.int64]]) -> NDArray[np.float64]:
        """Compute z, the log odds of a click, of rows drawn by `draw`.

        Returns
        -------
        float64[n]
        """
        n_rows = len(next(iter(values.values())))
        z = np.full(n_rows, self._scales.intercept)
        total = np.zeros((n_rows, RANKS[0]), np.float32)
        norms = np.zeros(n_rows)
        for field, bounds in zip(self._fields, self._bounds, strict=True):
            value = values[field.name]
            slot = self._slots(field.name, value)
            z += self._weights[slot]
            if field.interacts:
                slot += POOL * np.searchsorted(bounds, value, side="right")
                total += self._vectors[slot]
                norms += self._norms[slot]
        z += 0.5 * ((total**2).sum(axis=1) - norms)
        return z

    def vector_of(self, name: str, value: int) -> NDArray[np.float32]:
        """Give the vector of one value of a field.

        Returns
        -------
        float32[RANKS[0]]              zeros beyond the value's rank
        """
        place = [field.name for field in self._fields].index(name)
        level = np.searchsorted(self._bounds[place], value, side="right")
        slot = self._slots(name, np.array([value]))[0] + POOL * level
        vector: NDArray[np.float32] = self._vectors[slot]
        return vector

    def _slots(self, name: str, value: NDArray[np.int64]) -> NDArray[np.int64]:
        key = stream_key(self.seed, "feature", name)
        return hash_indices(key, value + 1).view(np.int64) & (POOL - 1)

    def uniform(
        self, purpose: str, name: str, rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Draw a number in [0, 1) for each row.

        Returns
        -------
        float64[n]
        """
        hashed = hash_indices(stream_key(self.seed, purpose, name), rows)
        return _unit(hashed)


def _unit(hashed: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn hashes into numbers in [0, 1)."""
    return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(key: int, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """Draw a normal number for each index, by the Box-Muller transform.

    Parameters
    ----------
    key : int                          of `stream_key`
    indices : int64[n]

    Returns
    -------
    float32[n]
    """
    pairs = [hash_indices(key, 2 * indices + half) for half in (0, 1)]
    radius = np.sqrt(-2 * np.log1p(-_unit(pairs[0])))
    angle = 2 * np.pi * _unit(pairs[1])
    drawn: NDArray[np.float64] = radius * np.cos(angle)
    return drawn.astype(np.float32)


def coin_labels(
    model: PlantedModel, z: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int8], float]:
    """Toss a coin of log odds z for each row; sum up the log loss of knowing z.

    Parameters
    ----------
    model : PlantedModel
    z : float64[n]
    rows : int64[n]                    row numbers

    Returns
    -------
    int8[n], float                     labels 0 and 1; the loss no model can beat
    """
    labels = model.uniform("label", "", rows) < 1 / (1 + np.exp(-z))
    loss = np.logaddexp(0, np.where(labels, -z, z)).sum()
    return labels.astype(np.int8), float(loss)
