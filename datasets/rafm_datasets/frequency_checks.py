"""frequencies.parquet checked: against itself, the manifest, and counts of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_datasets.manifest import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from rafm_datasets.prepared import PreparedData


def check_frequencies(
    data: PreparedData,
    counted: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> list[str]:
    """Check the table of features.

    Parameters
    ----------
    data : PreparedData
    counted : mapping                  by split: how often each feature occurs in its
                                       rows, and the sum of their labels; splits whose
                                       files are damaged are left out

    Returns
    -------
    list of str                        what is wrong, in one sentence each
    """
    table = data.frequencies()
    path = data.folder / data.manifest.frequencies.name
    if table["id"].to_list() != list(range(data.n_features)):
        return [f"{path} does not list the ids 0 to {data.n_features - 1} in order"]
    found = [*_order(data, table), *_fields(data, table)]
    for split, (counts, label_sums) in counted.items():
        found += _counts(split, counts, table[f"{split}_count"].to_numpy())
        if split == "train":
            stated = table["train_label_sum"].to_numpy()
            if not np.allclose(label_sums, stated, rtol=1e-6, atol=1e-3):
                found.append("train_label_sum is not the sum of the labels of train")
    return [f"{path}: {what}" for what in found]


def _order(data: PreparedData, table: pl.DataFrame) -> Iterator[str]:
    parameters = data.manifest.parameters
    every = parameters.get("count_splits") == "all"
    names = [f"{split}_count" for split in (SPLIT_NAMES if every else ("train",))]
    counts = np.sum([table[name].to_numpy() for name in names], axis=0)
    rises = np.flatnonzero(np.diff(counts) > 0)
    if len(rises):
        yield f"counts rise from id {rises[0]} to id {rises[0] + 1}"
    least = parameters.get("min_count", 1)
    of_field = parameters.get("field_min_counts", {})
    for field in data.fields:
        values = (table["kind"] == "value") & (table["field"] == field.name)
        fewest = of_field.get(field.name, least)
        if (counts[values.to_numpy()] < fewest).any():
            yield f"a value of field {field.name} has a count below {fewest}"


def _fields(data: PreparedData, table: pl.DataFrame) -> Iterator[str]:
    known = {name: part for (name,), part in table.group_by(["field"])}
    for field in data.fields:
        part = known.pop(field.name, table.clear())
        if len(part) != field.n_features:
            yield (
                f"field {field.name} has {len(part)} features, the manifest says "
                f"{field.n_features}"
            )
        for kind, stated in (("null", field.null_id), ("rare", field.rare_id)):
            ids = part.filter(kind=kind)["id"].to_list()
            if ids != [stated]:
                yield f"field {field.name} has {kind} ids {ids}, not {stated}"
        values = part.filter(kind="value")["value"]
        if values.null_count() or values.n_unique() < len(values):
            yield f"field {field.name} lists a value twice or without its text"
        if data.manifest.layout == "columns":
            for split in SPLIT_NAMES:
                total = int(part[f"{split}_count"].sum())
                if total != data.rows(split):
                    yield (
                        f"{split} counts of field {field.name} add up to {total}, "
                        f"not to its {data.rows(split)} rows"
                    )
    for name in known:
        yield f"field {name} is not in the manifest"


def _counts(
    split: str, counted: NDArray[np.int64], stated: NDArray[np.int64]
) -> Iterator[str]:
    wrong = np.flatnonzero(counted != stated)
    if len(wrong):
        first = wrong[0]
        yield (
            f"{split} counts of {len(wrong)} features are not those of the rows, the "
            f"first of id {first}: {counted[first]} rows, stated {stated[first]}"
        )
