"""One feature: its value and id, how often it is seen, and the rank that earns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rafm_bench.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from rafm_datasets import PreparedData
    from rafm_kernels import RankLayout


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of prepared data.

    Attributes
    ----------
    id, field, value, kind : kind is value, null (missing) or rare (too few, or unseen)
    counts : rows that have it, per split
    label_mean : mean label of its training rows; None when there are none
    level, rank : k_i and its D_k; None when no ranks were given, or the model has none
    note : why this feature answers for a value that has none of its own
    """

    id: int
    field: str
    value: str | None
    kind: str
    counts: dict[str, int]
    label_mean: float | None
    level: int | None
    rank: int | None
    note: str | None


def explain(
    data: PreparedData,
    field: str | None,
    value: str | None,
    feature_id: int | None,
    layout: RankLayout | None,
) -> Feature:
    """Find a feature by field and value (what the value is read as), or by its id."""
    if field is not None and value is not None and feature_id is None:
        return _by_value(data, field, value, layout)
    if field is None and feature_id is not None:
        return _by_id(data, feature_id, layout)
    raise UserError(
        "explain takes a FIELD and a VALUE, or --id N; see `rafm-bench explain --help`"
    )


def _by_value(
    data: PreparedData, field: str, value: str, layout: RankLayout | None
) -> Feature:
    import polars as pl

    names = [one.name for one in data.fields]
    if field not in names:
        raise UserError(
            f"{data.folder}: no field {field!r}; its fields are {', '.join(names)}"
        )
    found = data.frequencies().filter(
        pl.col("field") == field, pl.col("kind") == "value", pl.col("value") == value
    )
    if len(found):
        return _feature(found, layout, None)
    rare = data.frequencies().filter(pl.col("id") == data.rare_id(field))
    return _feature(
        rare,
        layout,
        f"{field}={value} has no feature of its own (never seen in training, or below "
        "the least count): it is read as the field's rare feature",
    )


def _by_id(data: PreparedData, feature_id: int, layout: RankLayout | None) -> Feature:
    import polars as pl

    if not 0 <= feature_id < data.n_features:
        raise UserError(
            f"{data.folder}: no feature has id {feature_id}; ids go from 0 to "
            f"{data.n_features - 1}"
        )
    return _feature(data.frequencies().filter(pl.col("id") == feature_id), layout, None)


def _feature(
    found: pl.DataFrame, layout: RankLayout | None, note: str | None
) -> Feature:
    row: dict[str, Any] = found.row(0, named=True)
    level = (int(layout.level_of([row["id"]])[0]) or None) if layout else None
    trained = row["train_count"]
    return Feature(
        id=row["id"],
        field=row["field"],
        value=row["value"],
        kind=row["kind"],
        counts={name: row[f"{name}_count"] for name in ("train", "valid", "test")},
        label_mean=row["train_label_sum"] / trained if trained else None,
        level=level,
        rank=layout.rank_dims[level - 1] if layout and level else None,
        note=note,
    )
