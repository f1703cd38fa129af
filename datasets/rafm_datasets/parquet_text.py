"""A Parquet file read as text: one line a row, so that it goes the way of other files.

Fields are parted by a control character and nothing is quoted; line ends within values
are put into other control characters, so that line n is row n. Row groups are read in
small batches: memory is bounded by the packed size of a row group.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

import polars as pl

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    import pyarrow.parquet as pq

FIELD_END = "\x1f"
_STANDS_FOR = {"\n": "\x1d", "\r": "\x1c"}
_RESERVED = "[\x1c-\x1f]"
_BATCH_ROWS = 1 << 13
_BUFFER_BYTES = 1 << 20
_UNREADABLE = (pl.List, pl.Array, pl.Struct, pl.Binary, pl.Object, pl.Duration)


class ParquetText(io.RawIOBase):
    """The rows of a Parquet file as lines, after one line with the columns' names.

    Parameters
    ----------
    file : binary file                 seekable
    columns : sequence of str          to read, those that the file has; empty: all
    label : str                        what messages call it
    """

    def __init__(self, file: IO[bytes], columns: Sequence[str], label: str) -> None:
        self._label = label
        self._parquet = _open(file, label)
        names = self._parquet.schema_arrow.names
        self._names = [name for name in names if not columns or name in columns]
        self._texts = self._lines()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next; 0 at the end."""
        while not self._rest:
            text = next(self._texts, None)
            if text is None:
                return 0
            self._rest = memoryview(text)
        n_bytes = min(len(buffer), len(self._rest))
        buffer[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        return n_bytes

    def _lines(self) -> Iterator[bytes]:
        yield (FIELD_END.join(self._names) + "\n").encode()
        n_rows = 0
        for batch in self._batches():
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            texts = [self._text(column, n_rows) for column in frame.iter_columns()]
            text = io.BytesIO()
            pl.DataFrame(texts).write_csv(
                text, include_header=False, separator=FIELD_END, quote_style="never"
            )
            yield text.getvalue()
            n_rows += len(frame)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        try:
            yield from self._parquet.iter_batches(
                _BATCH_ROWS, columns=self._names, use_threads=False
            )
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self._label, error) from error

    def _text(self, column: pl.Series, n_before: int) -> pl.Series:
        if isinstance(column.dtype, _UNREADABLE):
            raise DataError(
                f"{self._label}: column {column.name} is of type {column.dtype}, which "
                "is not one value a row that reads as text; write it as a number or "
                "text (a separator between several values), or leave it out of the "
                "fields"
            )
        if column.dtype.is_float():
            column = column.fill_nan(None)
        text = column.cast(pl.String)
        if text.str.contains(_RESERVED).any():
            row = int((text.str.contains(_RESERVED)).arg_true()[0]) + n_before + 1
            raise DataError(
                f"{self._label}, row {row}: column {column.name} holds one of the "
                "control characters 0x1c to 0x1f; remove it"
            )
        if text.str.contains("[\r\n]").any():
            for end, other in _STANDS_FOR.items():
                text = text.str.replace_all(end, other, literal=True)
        return text


def with_line_ends(texts: pl.Series) -> pl.Series:
    """Put the line ends back into distinct values of a column."""
    for end, other in _STANDS_FOR.items():
        texts = texts.str.replace_all(other, end, literal=True)
    return texts


def parquet_rows(file: IO[bytes], label: str) -> int:
    """Tell how many rows a Parquet file has."""
    rows: int = _open(file, label).metadata.num_rows
    return rows


def parquet_names(file: IO[bytes], label: str) -> tuple[str, ...]:
    """Read the names of the columns; DataError when it is not Parquet."""
    return tuple(_open(file, label).schema_arrow.names)


def _open(file: IO[bytes], label: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(label, error) from error


def _damaged(label: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error)
    return DataError(
        f"{label} is not Parquet, or damaged or cut short ({reason}); fetch or write "
        "it again, or say what it is by format in the description"
    )
