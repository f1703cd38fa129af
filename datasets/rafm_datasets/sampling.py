"""A few whole records of each raw text, from several places where it can be sought."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import time
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from rafm_datasets.delimited import record_starts
from rafm_datasets.errors import DataError
from rafm_datasets.parquet_text import parquet_rows
from rafm_datasets.raw import BOM, PACKING_ERRORS, damaged, open_file, open_text
from rafm_datasets.scan import end_of_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_datasets.delimited import Dialect
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.raw import RawInput
    from rafm_datasets.sources import Source

_PLACES = 4
_FIRST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """Header and records of one raw text, and what follows from them for the whole.

    `text_bytes` is the length of the unpacked text, known or (`exact` false) estimated
    from how the sample was packed; `unpack_seconds` what the sample took to unpack.
    """

    item: RawInput
    header: bytes
    records: bytes
    n_records: int
    text_bytes: int
    exact: bool
    unpack_seconds: float

    @property
    def estimated_records(self) -> int:
        """Records of the whole text."""
        body = max(self.text_bytes - len(self.header), 0)
        return round(body * self.n_records / len(self.records))


def take_sample(
    item: RawInput, source: Source, options: PrepareOptions, n_bytes: int
) -> Sample:
    """Read about `n_bytes` of one raw text.

    Parameters
    ----------
    item : RawInput
    source : Source
    options : PrepareOptions
    n_bytes : int

    Returns
    -------
    Sample

    Raises
    ------
    DataError                          empty, damaged, or not a file of this source
    """
    started = time.perf_counter()
    try:
        with _opened(item) as (text, packed, text_bytes):
            first = text.readline(_FIRST_LINE_BYTES)
            if not first:
                raise DataError(f"{item.label} is empty; give a file that has rows")
            line = first.removeprefix(BOM).rstrip(b"\r\n")
            dialect = source.dialect(item.name, line, options)
            header = first if dialect.header_lines else b""
            start = b"" if header else first
            if item.packing == "plain":
                records = _from_places(text, start, dialect, n_bytes, text_bytes)
            else:
                records = _whole(start + text.read(n_bytes), dialect, text)
            exact = text_bytes is not None
            if text_bytes is None and item.packing == "gzip":
                text_bytes = _unpacked_size(text, packed, item)
    except PACKING_ERRORS as error:
        raise damaged(item.label, error) from error
    if not records:
        raise DataError(f"{item.label} holds no rows; give a file that has some")
    seconds = time.perf_counter() - started if item.packing != "plain" else 0.0
    n_records = len(record_starts(records, dialect.framing))
    if text_bytes is None:
        share = len(records) / n_records
        with open_file(item.path) as file:
            n_rows = parquet_rows(file, item.label)
        text_bytes = len(header) + round(share * n_rows)
    return Sample(item, header, records, n_records, text_bytes, exact, seconds)


@contextlib.contextmanager
def _opened(item: RawInput) -> Iterator[tuple[IO[bytes], IO[bytes], int | None]]:
    """Open the text unpacked; give the packed file too, and the text's known length."""
    with open_file(item.path) as file:
        if item.packing == "plain":
            yield file, file, item.size()
        elif item.packing == "parquet":
            with open_text(item) as lines:
                yield lines, file, None
        elif item.packing == "gzip":
            with gzip.GzipFile(fileobj=file) as text:
                yield cast("IO[bytes]", text), file, None
        elif item.packing == "zip":
            with zipfile.ZipFile(file) as archive, archive.open(str(item.member)) as t:
                yield t, file, archive.getinfo(str(item.member)).file_size
        else:
            with tarfile.open(fileobj=file, mode="r|*") as tar:
                info = next(entry for entry in tar if entry.name == item.member)
                member: Any = tar.extractfile(info)
                yield member, file, info.size


def _from_places(
    text: IO[bytes], first: bytes, dialect: Dialect, n_bytes: int, size: int | None
) -> bytes:
    """Read records at the start and at evenly spaced places."""
    start = text.tell()
    left = (size or 0) - start
    if left <= n_bytes or dialect.framing == "quoted":  # a place may be within quotes
        return _whole(first + text.read(n_bytes), dialect, text)
    step = n_bytes // _PLACES
    pieces = [_whole_records(first + text.read(step), dialect)]
    for place in range(1, _PLACES):
        text.seek(start + place * left // _PLACES)
        piece = text.read(step)
        cut = piece.find(b"\n\n" if dialect.framing == "block" else b"\n")
        if cut >= 0:
            piece = piece[cut + (2 if dialect.framing == "block" else 1) :]
            pieces.append(_whole_records(piece, dialect))
    return b"".join(pieces)


def _whole(data: bytes, dialect: Dialect, text: IO[bytes]) -> bytes:
    """Cut off the record that the sample ends within, unless it is the last of all."""
    more = text.read(1)
    return _whole_records(data + more, dialect) if more else data


def _whole_records(data: bytes, dialect: Dialect) -> bytes:
    return data[: end_of_records(bytearray(data), len(data), dialect.framing)]


def _unpacked_size(text: IO[bytes], packed: IO[bytes], item: RawInput) -> int:
    """Estimate the length of a text from how much of it so many packed bytes held."""
    return round(text.tell() * item.size() / max(packed.tell(), 1))
