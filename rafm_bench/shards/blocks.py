"""The training state as blocks of rows, one row a feature: what shards exchange."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_kernels import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rafm_kernels import Model, Optimizer, Parameters, TrainState


class Blocks(NamedTuple):
    """Views of a state: writing to them changes it.

    Attributes
    ----------
    rows : of parameters, sums and moments in turn: the linear weights, then the tables
        of the levels, each as float[n_features of it, width]; none that is empty
    singles : float[1] each, the bias and what the optimizer keeps of it
    step : int64[1]
    """

    rows: tuple[NDArray[Any], ...]
    singles: tuple[NDArray[Any], ...]
    step: NDArray[np.int64]


def blocks_of(state: TrainState, model: Model, optimizer: Optimizer) -> Blocks:
    """Show a state as blocks; nothing is copied."""
    kept = [part for part in (state.sums, state.moments) if part.linear.size]
    parts = [state.parameters, *kept]
    by_row = optimizer.name == "adagrad-row"
    rows = [
        _one_each(part, model) if by_row and part is state.sums else _rows(part, model)
        for part in parts
    ]
    singles = tuple(part.bias for part in parts)
    return Blocks(tuple(chain(*rows)), singles, state.step)


def gather(blocks: Blocks, ids: NDArray[np.int32]) -> list[NDArray[Any]]:
    """Copy the rows of some features, ids increasing, out of each block."""
    ends = _ends(blocks, ids)
    return [block[ids[:n]] for block, n in zip(blocks.rows, ends, strict=True)]


def scatter(
    blocks: Blocks, ids: NDArray[np.int32], rows: Sequence[NDArray[Any]]
) -> None:
    """Put rows of features, as `gather` gives them, back into the blocks."""
    for block, values in zip(blocks.rows, rows, strict=True):
        block[ids[: len(values)]] = values


def _ends(blocks: Blocks, ids: NDArray[np.int32]) -> list[int]:
    """Of each block, how many of the ids it has: ids go by rank, so the first ones."""
    sizes = [len(block) for block in blocks.rows]
    return [int(end) for end in np.searchsorted(ids, sizes)]


def _rows(part: Parameters, model: Model) -> tuple[NDArray[Any], ...]:
    return (part.linear[:, None], *tables(part, model.layout))


def _one_each(sums: Parameters, model: Model) -> tuple[NDArray[Any], ...]:
    """Show the sums of row-wise AdaGrad: one number for each feature and level."""
    cuts = np.cumsum(model.layout.features_at_rank)
    levels = np.split(sums.embeddings, cuts)[:-1]
    return (sums.linear[:, None], *(numbers[:, None] for numbers in levels))
