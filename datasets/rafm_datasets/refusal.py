"""Bad rows: stop at the first, or set them aside with file, line, reason and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rafm_datasets.columns import BadRows, Parsed
from rafm_datasets.delimited import record_starts
from rafm_datasets.errors import DataError
from rafm_datasets.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.scan import ChunkRef
    from rafm_datasets.sources import Source


_COLUMN_TYPES: list[tuple[str, pa.DataType]] = [
    ("file", pa.large_string()),
    ("line", pa.int64()),
    ("reason", pa.large_string()),
    ("text", pa.large_string()),
]
REFUSED_SCHEMA = pa.schema(_COLUMN_TYPES)
_GROUP_ROWS, _GROUP_CHARACTERS = 1 << 14, 1 << 24


class Refused(NamedTuple):
    """One refused row."""

    file: str
    line: int
    reason: str
    text: str


def parse_or_refuse(
    ref: ChunkRef, source: Source, options: PrepareOptions
) -> tuple[Parsed, list[Refused]]:
    """Parse a chunk; its row numbers are those of the whole data set afterwards.

    Parameters
    ----------
    ref : ChunkRef
    source : Source
    options : PrepareOptions

    Returns
    -------
    Parsed, list of Refused            the list is empty unless `on_bad_row` is
                                       "quarantine"

    Raises
    ------
    DataError                          the first bad row, if `on_bad_row` is "stop"
    """
    data = ref.read()
    lines: NDArray[np.int64] | None = None
    refused: list[Refused] = []
    while data:
        try:
            parsed = source.parse(data, ref.dialect, options)
        except BadRows as bad:
            starts = record_starts(data, ref.dialect.framing)
            if lines is None:
                lines = _lines(data, starts)
            refused += _refuse(bad, data, starts, lines, ref)
            keep = np.ones(len(starts), np.bool_)
            keep[[row for row, _ in bad.defects]] = False
            data, lines = _kept(data, starts, keep), lines[keep]
        else:
            numbers = _numbers(parsed, data, lines, ref)
            parsed = parsed._replace(numbers=numbers)
            break
    else:
        parsed = Parsed(np.empty(0, np.float32), {}, np.empty(0, np.int64))
    if refused and options.on_bad_row == "stop":
        raise _first(refused)
    return parsed, refused


def write_refused(path: Path, refused: list[Refused]) -> None:
    """Write refused rows as Parquet, in the order of their lines."""
    columns = zip(*sorted(refused), strict=True)
    named = dict(zip(REFUSED_SCHEMA.names, map(list, columns), strict=True))
    table = pa.table(named, REFUSED_SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def join_refused(folder: Path, numbers: Sequence[int], path: Path) -> None:
    """Gather the refused rows of several chunks into one file, one after another."""
    drawn = [refused_path(folder, number, drawn=True) for number in numbers]
    paths = [
        of_all if of_all.exists() else refused_path(folder, number)
        for number, of_all in zip(numbers, drawn, strict=True)
    ]
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, REFUSED_SCHEMA, compression="zstd") as writer,
    ):
        for group in _groups(paths):
            writer.write_table(pa.Table.from_pylist(group, REFUSED_SCHEMA))


def _groups(paths: Sequence[Path]) -> Iterator[list[dict[str, Any]]]:
    """Cut the rows into row groups that do not depend on what the chunks were."""
    group: list[dict[str, Any]] = []
    size = 0
    for part in paths:
        for row in pq.read_table(part, schema=REFUSED_SCHEMA).to_pylist():
            group.append(row)
            size += len(row["text"])
            if len(group) == _GROUP_ROWS or size > _GROUP_CHARACTERS:
                yield group
                group, size = [], 0
    if group:
        yield group


def refused_path(folder: Path, number: int, *, drawn: bool = False) -> Path:
    """Name the work file of the refused rows of a chunk.

    Parameters
    ----------
    folder : Path                      of the work files
    number : int                       of the chunk
    drawn : bool                       those of its parsing and of its negatives, which
                                       is there only where the latter refused some
    """
    return folder / f"{number:06d}.{'left-out' if drawn else 'refused'}"


def refuse_more(
    folder: Path, number: int, refused: list[Refused], options: PrepareOptions
) -> int:
    """Refuse rows of a chunk that others were refused of before, or none.

    Parameters
    ----------
    folder : Path                      of the work files
    number : int                       of the chunk
    refused : list of Refused          at least one
    options : PrepareOptions

    Returns
    -------
    int                                how many rows of the chunk are refused now

    Raises
    ------
    DataError                          the first of them, if `on_bad_row` is "stop"
    """
    if options.on_bad_row == "stop":
        raise _first(refused)
    path = refused_path(folder, number)
    rows = pq.read_table(path).to_pylist() if path.exists() else []
    together = [Refused(**row) for row in rows] + refused
    # A file of its own: a worker lost long ago may yet write that of the parsing.
    write_refused(refused_path(folder, number, drawn=True), together)
    return len(together)


def _refuse(
    bad: BadRows,
    data: bytes,
    starts: NDArray[np.int64],
    lines: NDArray[np.int64],
    ref: ChunkRef,
) -> list[Refused]:
    stops = [*starts[1:].tolist(), len(data)]
    return [
        Refused(
            ref.label,
            ref.first_line + int(lines[row]),
            reason,
            data[starts[row] : stops[row]]
            .rstrip(b"\r\n")
            .decode(errors="backslashreplace"),
        )
        for row, reason in dict(reversed(bad.defects)).items()
        if reason
    ]


def _first(refused: list[Refused]) -> DataError:
    first = min(refused, key=lambda row: row.line)
    return DataError(
        f"{first.file}, line {first.line}: {first.reason}; mend the row, or set "
        "bad rows aside with --on-bad-row quarantine"
    )


def _lines(data: bytes, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the line, from 0, that each record begins in."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return np.searchsorted(breaks, starts).astype(np.int64)


def _kept(data: bytes, starts: NDArray[np.int64], keep: NDArray[np.bool_]) -> bytes:
    lengths = np.diff(np.concatenate([starts, [len(data)]]))
    return np.frombuffer(data, np.uint8)[np.repeat(keep, lengths)].tobytes()


def _numbers(
    parsed: Parsed,
    data: bytes,
    lines: NDArray[np.int64] | None,
    ref: ChunkRef,
) -> NDArray[np.int64]:
    """Turn row numbers within the chunk into row numbers of the whole."""
    framing = ref.dialect.framing
    if lines is None and (framing == "block" or (framing == "quoted" and b'"' in data)):
        lines = _lines(data, record_starts(data, framing))
    if lines is None:
        return parsed.numbers + ref.first_row
    return lines[parsed.numbers] + ref.first_row
