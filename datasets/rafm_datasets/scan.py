"""Raw texts cut into chunks of whole records, hashed and counted in the same pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rafm_datasets.delimited import count_bytes
from rafm_datasets.errors import DataError
from rafm_datasets.files import replacing, sha256_of
from rafm_datasets.manifest import RawFile
from rafm_datasets.raw import BOM, MAX_RECORD_BYTES, PACKING_ERRORS, RawInput, open_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rafm_datasets.delimited import Dialect, Framing
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.sources import Source

    Block = bytes | memoryview

_LINE_FEED = ord("\n")
_READ_BYTES = 1 << 20  # read at once: a block that stays in the cache


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
        """Read the chunk's bytes; DataError when not all are there any more."""
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise DataError(
                f"cannot read {self.label}: {error.strerror}; leave it where it is "
                "until it is prepared"
            ) from error
        if len(data) < self.length:
            raise DataError(
                f"{self.label} became shorter while it was read; write it anew, then "
                "begin anew with --overwrite"
            )
        return data


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
        self._packed: dict[str, RawFile] = {}
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
                else self._packed_file(item)
            )

    def _packed_file(self, item: RawInput) -> RawFile:
        """Hash an archive, once for all of its members."""
        if item.path not in self._packed:
            self._packed[item.path] = _packed_file(item)
        return replace(self._packed[item.path], split=item.split)

    def _cut(self, item: RawInput) -> Iterator[tuple[Block, ChunkRef | None]]:
        """Yield header and chunks; a chunk's bytes are there until the next one."""
        with open_text(item) as text:
            head, rest, dialect = self._head(text, item)
            yield head, None
            offset, line = len(head), 1 + dialect.header_lines
            if item.packing == "parquet":
                line = 1  # its header is no line of the file: line n is row n
            buffer, held = bytearray(rest), len(rest)
            more, open_line = True, False
            while more or held:
                filled = self._fill(buffer, held, text, item, line)
                more = filled > held
                cut = filled
                if more:
                    cut = end_of_records(buffer, filled, dialect.framing)
                if cut:
                    ref = ChunkRef(
                        self._n_chunks,
                        item.label,
                        item.split,
                        dialect,
                        str(Path(item.path).absolute()),
                        offset,
                        cut,
                        line,
                        self._n_lines + line - 1,
                        spilled=False,
                    )
                    self._n_chunks += 1
                    with memoryview(buffer)[:cut] as chunk:
                        yield chunk, ref
                        line += count_bytes(chunk, "\n")
                        open_line = chunk[-1] != _LINE_FEED
                    offset += cut
                    buffer[: filled - cut] = buffer[cut:filled]
                held = filled - cut
        if offset == len(head):
            raise DataError(f"{item.label} holds no rows; give a file that has some")
        self._n_lines += line - 1 + open_line

    def _head(self, text: IO[bytes], item: RawInput) -> tuple[bytes, bytes, Dialect]:
        """Read BOM and header; what else was read comes back as the second item."""
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
        return head, first[len(head) :], dialect

    def _fill(
        self, buffer: bytearray, held: int, text: IO[bytes], item: RawInput, line: int
    ) -> int:
        """Read up to the length of a chunk behind the `held` bytes; return the end."""
        size, end = self._chunk_bytes, held
        wanted = size if held < size else held + size
        try:
            while end < wanted and (block := text.read(min(_READ_BYTES, wanted - end))):
                buffer[end : end + len(block)] = block
                end += len(block)
        except PACKING_ERRORS as error:
            raise _damaged_at(item, line, error) from error
        if end >= MAX_RECORD_BYTES:
            raise DataError(
                f"{item.label}, line {line}: what should be one piece goes on for "
                f"{MAX_RECORD_BYTES >> 20} MiB; check that this is a file for source "
                f"{self._options.source}"
            )
        return end

    def _unpack(self, block: Block, ref: ChunkRef) -> ChunkRef:
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
    return RawFile(item.path.rsplit("/", 1)[-1], item.size(), digest, item.split)


def _damaged_at(item: RawInput, line: int, error: Exception) -> DataError:
    return DataError(
        f"{item.label} is damaged or cut short after line {line - 1} ({error}); "
        "fetch it again, or unpack what is left of it by hand"
    )


def end_of_records(data: bytearray, stop: int, framing: Framing) -> int:
    """Find where the last whole record of data[:stop] ends; 0 if there is none."""
    if framing == "block":
        ends = (b"\n\n", b"\n\r\n")
        found = ((data.rfind(end, 0, stop), len(end)) for end in ends)
        return max(place + length if place >= 0 else 0 for place, length in found)
    cut = data.rfind(b"\n", 0, stop) + 1
    while framing == "quoted" and cut and data.count(b'"', 0, cut) % 2:
        cut = data.rfind(b"\n", 0, cut - 1) + 1
    return cut
