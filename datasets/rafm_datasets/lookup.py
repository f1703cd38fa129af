"""Ids of prepared data for values of new rows, joined with its frequencies in blocks.

Neither side is ever held whole: as many ranges of new values as half of the memory
takes are joined with blocks of the table of features that the other half takes, so
features are read once unless the new values are very many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from rafm_datasets.files import replacing
from rafm_datasets.location import parquet_file
from rafm_datasets.vocabulary import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.execute import Progress
    from rafm_datasets.prepared import PreparedData
    from rafm_datasets.vocabulary import Range

_MEMORY_PER_BYTE = 8  # of a side's Arrow bytes while it is joined, measured


def look_up_ids(
    ranges: Sequence[Range],
    data: PreparedData,
    folder: Path,
    memory: int,
    progress: Progress,
) -> dict[str, int]:
    """Write each range's `.ids`; a value that the data does not know gets rare's.

    Parameters
    ----------
    ranges : sequence of Range         merged; their fields are those of `data`
    data : PreparedData
    folder : Path                      of the work files
    memory : int                       bytes to work in
    progress : Progress

    Returns
    -------
    dict                               for each field how many entries are unknown
    """
    unknown = {field.name: 0 for field in data.fields}
    half = memory // (2 * _MEMORY_PER_BYTE)
    done = 0
    for batch in _batches(ranges, folder, half):
        tables = [read_table(part.path(folder, "values")) for part in batch]
        sizes = [len(table) for table in tables]
        rare = [data.fields[part.field].rare_id for part in batch]
        ids = np.repeat(np.array(rare, np.int32), sizes)
        _join(_wanted(batch, tables), ids, data, half)
        for part, table, found in zip(
            batch, tables, np.split(ids, np.cumsum(sizes)[:-1]), strict=True
        ):
            with replacing(part.path(folder, "ids")) as temporary:
                found.tofile(temporary)
            field = data.fields[part.field]
            counts = table["test_count"].to_numpy()
            unknown[field.name] += int(counts[found == field.rare_id].sum())
        done += len(batch)
        progress("look up", done, len(ranges), "ranges")
    return unknown


def _batches(
    ranges: Sequence[Range], folder: Path, most_bytes: int
) -> Iterator[list[Range]]:
    """Take ranges together while their values are not too many."""
    batch: list[Range] = []
    size = 0
    for part in ranges:
        more = part.path(folder, "values").stat().st_size
        if batch and size + more > most_bytes:
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += more
    if batch:
        yield batch


def _wanted(batch: Sequence[Range], tables: Sequence[pa.Table]) -> pl.DataFrame:
    """Lay out the values of several ranges: field, value, place among all of them."""
    sizes = [len(table) for table in tables]
    fields = np.repeat([part.field for part in batch], sizes).astype(np.int32)
    columns = {
        "field": fields,
        "value": pa.concat_tables([table.select(["value"]) for table in tables])[
            "value"
        ],
        "place": np.arange(len(fields)),
    }
    return pl.DataFrame(pa.table(columns))


def _join(
    wanted: pl.DataFrame, ids: NDArray[np.int32], data: PreparedData, block_bytes: int
) -> None:
    """Put the id of each wanted value that the data knows into its place."""
    for block in _feature_blocks(data, wanted["field"].unique(), block_bytes):
        found = wanted.join(pl.DataFrame(block), on=["field", "value"], how="inner")
        ids[found["place"].to_numpy()] = found["id"].to_numpy()


def _feature_blocks(
    data: PreparedData, fields: pl.Series, most_bytes: int
) -> Iterator[pa.Table]:
    """Read id, field (its number) and value of the features of some fields."""
    path = data.folder / data.manifest.frequencies.name
    names = pa.array([field.name for field in data.fields])
    kept: Any = pa.array(fields.to_list(), pa.int32())
    held: list[pa.Table] = []
    with parquet_file(path, read_dictionary=["field", "kind"]) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, ["id", "field", "value", "kind"])
            number = pc.index_in(table["field"].cast(pa.string()), value_set=names)
            table = table.set_column(1, "field", number)
            good = pc.and_(
                pc.equal(table["kind"].cast(pa.string()), pa.scalar("value")),
                pc.is_in(number, value_set=kept),
            )
            held.append(table.filter(good).drop_columns(["kind"]))
            if sum(item.nbytes for item in held) > most_bytes:
                yield pa.concat_tables(held)
                held = []
    if held:
        yield pa.concat_tables(held)
