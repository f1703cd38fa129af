"""Figures that tell how well the order of an epoch mixes the rows of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.epoch_order import epoch_order
from rafm_datasets.epochs import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData

_CHUNK_ROWS = 1 << 16
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Mixing:
    """How far rows move from the files to an epoch, and what labels show of it.

    `displacement`: mean distance of a row from its place in the files, in parts of
    the split; 1/3 for a perfect shuffle. `label_autocorrelation`: of one row's label
    with the next one's; near 0 when mixed. `batch_spread`: variance of the mean label
    of batches of 1,024 rows over that of independent draws; near 1 when mixed.
    `raw_displacement`: from the raw files to the prepared ones, as in the manifest.
    """

    displacement: float
    label_autocorrelation: float
    batch_spread: float
    raw_displacement: float


def mixing(data: PreparedData, split: str, seed: int | None, epoch: int = 0) -> Mixing:
    """Measure how well one epoch mixes a split; reads the whole split.

    Parameters
    ----------
    data : PreparedData
    split : str
    seed : int or None                 None: the order of the files
    epoch : int

    Returns
    -------
    Mixing                             NaN where a split is too small to tell
    """
    chunks = stream(data, split, _CHUNK_ROWS, seed=seed, epoch=epoch)
    labels = np.concatenate([np.empty(0), *(chunk.labels for chunk in chunks)])
    return Mixing(
        displacement=_displacement(data, split, seed, epoch),
        label_autocorrelation=_autocorrelation(labels),
        batch_spread=_batch_spread(labels),
        raw_displacement=data.manifest.splits[split].displacement,
    )


def _displacement(
    data: PreparedData, split: str, seed: int | None, epoch: int
) -> float:
    order = epoch_order(data, split, seed=seed, epoch=epoch)
    total, n_rows = 0, data.rows(split)
    for window in range(len(order.starts) - 1):
        part = order.window(window)
        in_files = np.concatenate([first + np.arange(n) for _, _, n, first in part])
        places = order.places(window)
        now = np.arange(len(in_files)) if places is None else places
        total += int(np.abs(order.first_rows[window] + now - in_files).sum())
    return total / n_rows**2 if n_rows else float("nan")


def _autocorrelation(labels: NDArray[np.float64]) -> float:
    if len(labels) < 2 or labels.std() == 0:
        return float("nan")
    centred = labels - labels.mean()
    return float((centred[1:] * centred[:-1]).mean() / centred.var())


def _batch_spread(labels: NDArray[np.float64]) -> float:
    n_batches = len(labels) // _BATCH_ROWS
    if n_batches < 2 or labels.std() == 0:
        return float("nan")
    means = labels[: n_batches * _BATCH_ROWS].reshape(n_batches, -1).mean(axis=1)
    return float(means.var(ddof=1) / (labels.var() / _BATCH_ROWS))
