"""Explicit levels of features from a file: the rank rule `explicit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from rafm_bench.progress import Reporter
    from rafm_datasets import PreparedData

BY_ID, BY_VALUE = {"id", "level"}, {"field", "value", "level"}


def read_levels(
    file: Path, data: PreparedData, n_levels: int, report: Reporter
) -> NDArray[np.int64]:
    """Read the level k_i of each feature; those that the file does not name have 1.

    Parameters
    ----------
    file : CSV or Parquet with columns id,level or field,value,level
    data : the data set whose features are named
    n_levels : number of ranks; levels lie in 1..n_levels

    Returns
    -------
    int64[n_features]                 new array

    Raises
    ------
    UserError                         naming the file and the line (CSV) of the mistake
    """
    table = _read_table(file).with_row_index("line", offset=2)
    if set(table.columns) - {"line"} == BY_VALUE:
        table = _find_ids(file, table, data)
    levels = np.ones(data.n_features, dtype=np.int64)
    ids = _whole(file, table, "id", 0, data.n_features - 1)
    _refuse_duplicates(file, table, ids)
    levels[ids] = _whole(file, table, "level", 1, n_levels)
    report.say(
        f"{file} gives the level of {ids.size:,} of {levels.size:,} features; "
        "the others have level 1"
    )
    return levels


def _read_table(file: Path) -> pl.DataFrame:
    import polars as pl
    from polars.exceptions import PolarsError

    if not file.is_file():
        raise UserError(f"{file}: no such levels file; check the path")
    try:
        if file.suffix == ".parquet":
            table = pl.read_parquet(file)
        else:
            table = pl.read_csv(file, infer_schema=False)
    except PolarsError as error:
        raise UserError(
            f"{file}: not a readable CSV or Parquet file: {error}"
        ) from None
    if set(table.columns) not in (BY_ID, BY_VALUE):
        raise UserError(
            f"{file}: needs the columns id,level or field,value,level; it has "
            f"{','.join(table.columns)}"
        )
    return table


def _find_ids(file: Path, table: pl.DataFrame, data: PreparedData) -> pl.DataFrame:
    import polars as pl

    known = data.frequencies().filter(pl.col("kind") == "value")
    found = table.with_columns(pl.col("value").cast(pl.String)).join(
        known.select("field", "value", "id"),
        on=["field", "value"],
        how="left",
        maintain_order="left",
    )
    missing = found.filter(pl.col("id").is_null())
    if len(missing):
        line, field, value = missing.select("line", "field", "value").row(0)
        raise UserError(
            f"{file}, line {line}: {data.folder} has no feature {field}={value}; "
            "`rafm-bench explain` shows how values are read"
        )
    return found


def _whole(
    file: Path, table: pl.DataFrame, column: str, lowest: int, highest: int
) -> NDArray[np.int64]:
    import polars as pl

    numbers = table[column].cast(pl.Int64, strict=False)
    wrong = table.filter(~numbers.is_between(lowest, highest).fill_null(value=False))
    if len(wrong):
        raise UserError(
            f"{file}, line {wrong['line'][0]}: {column} must be a whole number in "
            f"{lowest}..{highest}, got {wrong[column][0]!r}"
        )
    return numbers.to_numpy()


def _refuse_duplicates(file: Path, table: pl.DataFrame, ids: NDArray[np.int64]) -> None:
    _, first = np.unique(ids, return_index=True)
    if first.size < ids.size:
        again = int(np.setdiff1d(np.arange(ids.size), first)[0])
        raise UserError(
            f"{file}, line {table['line'][again]}: feature {ids[again]} is named "
            "twice; keep one line for it"
        )
