"""The reference of MRMA and FFM, whose pairs are not sums over features, in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rafm_kernels.parameters import Parameters, tables

if TYPE_CHECKING:
    from rafm_kernels.batch import Batch
    from rafm_kernels.model import Model

Array = NDArray[Any]


class EntryLevel(NamedTuple):
    """What one level makes of a batch, for each of its entries e.

    The slope of z by the feature's row of the table is x_e times `vectors[e]`.
    """

    vectors: Array  # float[n_entries, width]
    touched: Array  # bool[n_entries, width]   numbers that are in a product of the row


def mrma_levels(
    model: Model, parameters: Parameters, batch: Batch, x: Array
) -> tuple[list[EntryLevel], list[Array]]:
    """Mix the levels' products of the two features u, i of each row.

    Returns the levels, and what B_1k adds to the linear score, for k = 1..m.
    """
    u, i = batch.ids[0::2], batch.ids[1::2]
    x_u, x_i = x[0::2], x[1::2]
    both = tables(parameters, model.layout)
    dots = np.array([_dot(table[u, :-1], table[i, :-1]) for table in both])
    logits = np.array([table[u, -1].astype(float) + table[i, -1] for table in both])
    shares = [_softmax(logits[: k + 1]) for k in range(len(both))]
    mixed = [(part * dots[: len(part)]).sum(axis=0) for part in shares]
    levels = []
    for k, table in enumerate(both):
        share = shares[-1][k][:, None]
        lean = share * (dots[k] - mixed[-1])[:, None]
        vectors = np.empty((len(batch.ids), table.shape[1]), table.dtype)
        vectors[0::2] = x_i[:, None] * np.hstack([share * table[i, :-1], lean])
        vectors[1::2] = x_u[:, None] * np.hstack([share * table[u, :-1], lean])
        levels.append(EntryLevel(vectors, np.ones(vectors.shape, bool)))
    return levels, [x_u * x_i * part for part in mixed]


def ffm_levels(
    model: Model, parameters: Parameters, batch: Batch, x: Array
) -> tuple[list[EntryLevel], list[Array]]:
    """Add up the products of each pair, in the vectors for each other's field.

    Returns the level, and what it adds to the linear score, as a list of one each.
    """
    fields = batch.fields
    assert fields is not None
    (table,) = tables(parameters, model.layout)
    v = table.reshape(len(table), model.n_fields, -1)
    a, b = _pairs(batch)
    theirs = x[b, None] * v[batch.ids[b], fields[a]]
    terms = x[a] * _dot(v[batch.ids[a], fields[b]], theirs)
    rows = np.repeat(np.arange(batch.n_rows), np.diff(batch.indptr))
    z = np.zeros(batch.n_rows)
    np.add.at(z, rows[a], np.where(a < b, terms, 0.0))
    vectors = np.zeros((len(batch.ids), *v.shape[1:]), v.dtype)
    np.add.at(vectors, (a, fields[b]), theirs)
    touched = np.zeros(vectors.shape, bool)
    touched[a, fields[b]] = True
    flat = (len(batch.ids), table.shape[1])
    return [EntryLevel(vectors.reshape(flat), touched.reshape(flat))], [z]


def _pairs(batch: Batch) -> tuple[Array, Array]:
    """Entries a, b of one row, for each a and each other b."""
    sizes = np.diff(batch.indptr)
    sizes_of_entry = np.repeat(sizes, sizes)
    a = np.repeat(np.arange(len(batch.ids)), sizes_of_entry)
    first_pair = np.cumsum(sizes_of_entry) - sizes_of_entry
    first_entry = np.repeat(batch.indptr[:-1], sizes)
    b = np.arange(len(a)) - first_pair[a] + first_entry[a]
    other = a != b
    return a[other], b[other]


def _dot(a: Array, b: Array) -> NDArray[np.float64]:
    """Products of the rows of a and b, in float64."""
    products: NDArray[np.float64] = (a.astype(np.float64) * b).sum(axis=1)
    return products


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(logits - logits.max(axis=0))
    shares: NDArray[np.float64] = e / e.sum(axis=0)
    return shares
