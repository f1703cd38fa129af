"""Raw texts cut into chunks of whole records, hashed and counted in the same pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rafm_datasets.errors import DataError
from rafm_datasets.files import replacing, sha256_of
from rafm_datasets.manifest import RawFile
from rafm_datasets.raw import PACKING_ERRORS, RawInput, open_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rafm_datasets.delimited import Dialect, Framing
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

MAX_RECORD_BYTES = 1 << 28  # a longer line is a sign of another format
WHOLE_BYTES = 1 << 30  # largest text of a source that is parsed in one piece
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Where the bytes of a chunk are, and which rows they hold.

    `first_line` counts from 1 in its text, `first_row` from 0 over all texts; a row's
    number is that of its first line. `spilled` chunks were unpacked into a file of
    their own, to be removed once parsed.
    """

    number: int
    label: str
    split: str | None
    dialect: Dialect
    path: str
    offset: int
    length: int
    first_line: int
    first_row: int
    spilled: bool

    def read(self) -> bytes:
        """Read the chunk's bytes."""
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


class Scanner:
    """Cuts the inputs into chunks, one after another; afterwards knows their hashes.

    Parameters
    ----------
    inputs : sequence of RawInput
    source : Source
    options : PrepareOptions
    chunk_bytes : int                  aim for the length of a chunk
    spill : callable                   gives the file to unpack chunk n into; None when
                                       that chunk is not needed any more
    """

    def __init__(
        self,
        inputs: Sequence[RawInput],
        source: Source,
        options: PrepareOptions,
        chunk_bytes: int,
        spill: Callable[[int], Path | None],
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._options = options
        self._chunk_bytes = chunk_bytes
        self._spill = spill
        self._n_chunks = 0
        self._n_lines = 0
        self.raw_files: list[RawFile] = []

    def chunks(self) -> Iterator[ChunkRef]:
        """Yield the chunks of all inputs.

        Raises
        ------
        DataError                      empty, damaged, or not a file of this source
        """
        for item in self._inputs:
            plain = item.packing == "plain" and "://" not in item.path
            digest = hashlib.sha256()
            size = 0
            for block, ref in self._cut(item):
                if plain:
                    digest.update(block)
                    size += len(block)
                if ref is not None:
                    yield ref if plain else self._unpack(block, ref)
            self.raw_files.append(
                RawFile(Path(item.path).name, size, digest.hexdigest(), item.split)
                if plain
                else _packed_file(item)
            )

    def _cut(self, item: RawInput) -> Iterator[tuple[bytes, ChunkRef | None]]:
        with open_text(item) as text:
            head, dialect = self._head(text, item)
            yield head, None
            offset, line = len(head), 1 + dialect.header_lines
            rest, more = b"", True
            while more or rest:
                block = self._read(text, len(rest), item, line)
                more = bool(block) and not self._source.INFO.whole
                whole, rest = rest + block, b""
                if more:
                    whole, rest = split_records(whole, dialect.framing)
                if whole:
                    ref = ChunkRef(
                        self._n_chunks,
                        item.label,
                        item.split,
                        dialect,
                        item.path,
                        offset,
                        len(whole),
                        line,
                        self._n_lines + line - 1,
                        spilled=False,
                    )
                    self._n_chunks += 1
                    yield whole, ref
                    offset += len(whole)
                    line += whole.count(b"\n")
        if offset == len(head):
            raise DataError(f"{item.label} holds no rows; give a file that has some")
        self._n_lines += line

    def _head(self, text: IO[bytes], item: RawInput) -> tuple[bytes, Dialect]:
        """Read BOM and header, or look at the first line and go back."""
        try:
            first = text.readline(MAX_RECORD_BYTES)
        except PACKING_ERRORS as error:
            raise _damaged_at(item, 1, error) from error
        if not first:
            raise DataError(f"{item.label} is empty; give a file that has rows")
        bom = BOM if first.startswith(BOM) else b""
        line = first.removeprefix(BOM).rstrip(b"\r\n")
        dialect = self._source.dialect(item.name, line, self._options)
        head = first if dialect.header_lines else bom
        text.seek(len(head))
        return head, dialect

    def _read(self, text: IO[bytes], held: int, item: RawInput, line: int) -> bytes:
        """Read up to the length of a chunk, of which `held` bytes are here already."""
        limit = WHOLE_BYTES if self._source.INFO.whole else MAX_RECORD_BYTES
        size = limit if self._source.INFO.whole else self._chunk_bytes
        if held < size:
            size -= held
        try:
            block = text.read(size)
        except PACKING_ERRORS as error:
            raise _damaged_at(item, line, error) from error
        if held + len(block) >= limit:
            raise DataError(
                f"{item.label}, line {line}: what should be one piece goes on for "
                f"{limit >> 20} MiB; check that this is a {self._options.source} file"
            )
        return block

    def _unpack(self, block: bytes, ref: ChunkRef) -> ChunkRef:
        path = self._spill(ref.number)
        if path is not None:
            with replacing(path) as temporary:
                temporary.write_bytes(block)
        return replace(ref, path=str(path), offset=0, spilled=True)


def _packed_file(item: RawInput) -> RawFile:
    if "://" not in item.path:
        path = Path(item.path)
        return RawFile(path.name, path.stat().st_size, sha256_of(path), item.split)
    import fsspec

    with fsspec.open(item.path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return RawFile(item.path.rsplit("/", 1)[-1], file.tell(), digest, item.split)


def _damaged_at(item: RawInput, line: int, error: Exception) -> DataError:
    return DataError(
        f"{item.label} is damaged or cut short after line {line - 1} ({error}); "
        "fetch it again, or unpack what is left of it by hand"
    )


def split_records(data: bytes, framing: Framing) -> tuple[bytes, bytes]:
    """Split off the bytes after the last whole record."""
    if framing == "block":
        ends = (b"\n\n", b"\n\r\n")
        cut = max([data.rfind(end) + len(end) for end in ends if end in data] or [0])
        return data[:cut], data[cut:]
    cut = data.rfind(b"\n") + 1
    while framing == "quoted" and cut and data.count(b'"', 0, cut) % 2:
        cut = data.rfind(b"\n", 0, cut - 1) + 1
    return data[:cut], data[cut:]
