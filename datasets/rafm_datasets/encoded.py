"""New rows encoded with the ids of prepared data: one Parquet file, read back here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rafm_datasets.errors import DataError
from rafm_datasets.files import replacing
from rafm_datasets.rows import Rows, rechunk
from rafm_datasets.stores import rows_of_columns, rows_of_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

METADATA_KEY = "rafm_datasets.encoded"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """Encoded rows and what the file says of itself; made by `open_encoded`.

    `data_fingerprint` is that of the prepared data whose ids they have; `unknown` and
    `missing` count, by field, the entries read as rare and as null.
    """

    path: Path
    data_fingerprint: str
    source: str
    layout: Literal["columns", "lists"]
    fields: tuple[str, ...]
    n_features: int
    rows: int
    labeled: bool
    quarantined_rows: int
    unknown: Mapping[str, int]
    missing: Mapping[str, int]


def open_encoded(path: str | Path) -> EncodedFile:
    """Open a file made by `encode`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    EncodedFile

    Raises
    ------
    DataError                          not there, not encoded rows, or newer
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"cannot read {path}: {error}; make it with `rafm-bench encode`"
        ) from error
    if METADATA_KEY.encode() not in metadata:
        raise DataError(
            f"{path} does not hold encoded rows; give a file made by "
            "`rafm-bench encode`"
        )
    about = json.loads(metadata[METADATA_KEY.encode()])
    version = about.pop("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} is of format version {version}, this program reads version "
            f"{FORMAT_VERSION}; update rafm-bench, or encode the rows again"
        )
    about["fields"] = tuple(about["fields"])
    return EncodedFile(Path(path), **about)


def write_encoded(about: EncodedFile, blocks: Iterable[Rows], group_rows: int) -> None:
    """Write rows as they come, whole or not at all.

    Parameters
    ----------
    about : EncodedFile                its `path` is written to
    blocks : iterable of Rows
    group_rows : int                   rows of a row group
    """
    import pyarrow.parquet as pq

    content = {"format_version": FORMAT_VERSION, **asdict(about)}
    del content["path"]
    text = json.dumps(content, sort_keys=True)
    with (
        replacing(about.path) as temporary,
        pq.ParquetWriter(
            temporary,
            _table(about, _no_rows(about)).schema,
            compression="lz4",
            write_statistics=False,
            store_schema=False,
        ) as writer,
    ):
        for rows in rechunk(blocks, group_rows):
            writer.write_table(_table(about, rows))
        writer.add_key_value_metadata({METADATA_KEY: text})


def stream_encoded(encoded: EncodedFile, chunk_rows: int) -> Iterator[Rows]:
    """Read encoded rows in file order.

    Parameters
    ----------
    encoded : EncodedFile
    chunk_rows : int                   rows of every chunk but the last, >= 1

    Returns
    -------
    iterator of Rows                   labels are NaN where the file has none

    Raises
    ------
    DataError                          a damaged file
    """
    return rechunk(_groups(encoded), chunk_rows)


def _groups(encoded: EncodedFile) -> Iterator[Rows]:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(encoded.path) as parquet:
            for group in range(parquet.num_row_groups):
                yield _rows(encoded, parquet.read_row_group(group, use_threads=False))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"cannot read {encoded.path}: {error}; encode the rows again"
        ) from error


def _rows(encoded: EncodedFile, table: pa.Table) -> Rows:
    if not encoded.labeled:
        labels: Any = np.full(len(table), np.nan, np.float32)
        table = table.append_column("label", [labels])
    if encoded.layout == "lists":
        return rows_of_lists(table)
    return rows_of_columns(table, encoded.fields, encoded.n_features)


def _no_rows(about: EncodedFile) -> Rows:
    values = np.empty(0, np.float32) if about.layout == "lists" else None
    no_ids = np.empty(0, np.int32)
    return Rows(np.zeros(1, np.int64), no_ids, values, None, np.empty(0, np.float32))


def _table(about: EncodedFile, rows: Rows) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {"label": rows.labels} if about.labeled else {}
    if about.layout == "lists":
        values = rows.values
        if values is None:
            values = np.ones(len(rows.ids), np.float32)
        offsets: Any = rows.indptr.astype(np.int32)
        for name, flat in {"ids": rows.ids, "values": values}.items():
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(flat))
    else:
        matrix = rows.ids.reshape(-1, len(about.fields))
        for number, name in enumerate(about.fields):
            columns[name] = np.ascontiguousarray(matrix[:, number])
    return pa.table(columns)
