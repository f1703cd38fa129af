"""What models of fields ask of the rows that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_kernels.model import FIELD_MODELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_kernels.batch import Batch
    from rafm_kernels.model import Model


def check_batch(model: Model, batch: Batch) -> None:
    """See that each entry has a field where the model reads it; nothing for others.

    Raises
    ------
    ValueError                   for rows without fields, for a field out of 0..n_fields
                                 - 1 (`ffm`), and for a row that is not two features of
                                 two fields (`mrma`)
    """
    if model.name not in FIELD_MODELS:
        return
    if batch.fields is None:
        raise ValueError(
            f"model {model.name!r} needs the field of each entry, and the batch has no "
            "`fields`; give them to `make_batch`, or read the data with its fields"
        )
    if model.name == "mrma":
        _check_pairs(batch.indptr, batch.fields)
    elif batch.fields.size:
        _check_range(batch.fields, model.n_fields)


def _check_pairs(indptr: NDArray[np.int64], fields: NDArray[np.int32]) -> None:
    sizes = np.diff(indptr)
    if (sizes != 2).any():
        row = int(np.flatnonzero(sizes != 2)[0])
        raise ValueError(
            f"model 'mrma' needs two features in each row, got {sizes[row]} in row "
            f"{row}; use 'rafm' or 'difacto' for such rows"
        )
    pairs = fields[indptr[0] : indptr[-1]].reshape(-1, 2)
    if (pairs[:, 0] == pairs[:, 1]).any():
        row = int(np.flatnonzero(pairs[:, 0] == pairs[:, 1])[0])
        raise ValueError(
            f"model 'mrma' needs features of two fields in each row, got field "
            f"{pairs[row, 0]} twice in row {row}; use 'rafm' or 'difacto' for such rows"
        )


def _check_range(fields: NDArray[np.int32], n_fields: int) -> None:
    if fields.min() < 0 or fields.max() >= n_fields:
        at = int(np.flatnonzero((fields < 0) | (fields >= n_fields))[0])
        raise ValueError(
            f"`fields` must lie in 0..{n_fields - 1}, the fields of the model, got "
            f"{fields[at]} at entry {at}"
        )
