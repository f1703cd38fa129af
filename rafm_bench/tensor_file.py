"""Files of the safetensors format, written and read array by array.

The bytes are those that safetensors' own `save_file` gives. Here a checksum is made on
the way, and arrays are read into memory that is there already: nothing is copied.
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

# In the order in which they stand in a file: no array then begins off its alignment.
_DTYPES = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "I32": "<i4", "U8": "|u1"}
_NAMES = {np.dtype(form): name for name, form in _DTYPES.items()}
_BLOCK = 1 << 24  # bytes written, read or hashed at a time
_DIGEST = "sha256"


class Entry(NamedTuple):
    """Where an array stands in a file: `start` and `end` in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


class TensorFile(NamedTuple):
    """A file whose header was read: its metadata, and where its arrays are."""

    file: Path
    metadata: dict[str, str]
    entries: dict[str, Entry]

    def mapped(self) -> dict[str, NDArray[Any]]:
        """Show the arrays where they lie in the file, read-only: no memory is taken."""
        return {
            name: np.memmap(self.file, one.dtype, "r", one.start, one.shape)
            if one.end > one.start
            else np.zeros(one.shape, one.dtype)
            for name, one in self.entries.items()
        }

    def read_into(self, name: str, target: NDArray[Any]) -> None:
        """Fill an array of the entry's type and shape, which is in one piece."""
        entry = self.entries.get(name)
        found = entry and (entry.dtype, entry.shape)
        if entry is None or found != (target.dtype, target.shape):
            told = "none" if entry is None else f"{entry.dtype}{list(entry.shape)}"
            raise UserError(
                f"{self.file}: array {name!r} must be "
                f"{target.dtype}{list(target.shape)}, got {told}; it was written for "
                "another model or optimizer"
            )
        with self.file.open("rb") as handle:
            handle.seek(entry.start)
            for block in _blocks(target):
                if handle.readinto(block) != len(block):
                    raise _damaged(self.file, "it ends too early")


def write_tensors(
    file: Path,
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str],
    *,
    sealed: bool = False,
) -> str:
    """Write arrays, each in one piece, and return the SHA-256 of the file in hex.

    A sealed file ends with an array of its own, the SHA-256 of all bytes before it.
    """
    if sealed:
        arrays = {**arrays, _DIGEST: np.zeros(32, np.uint8)}
    ranks = {name: at for at, name in enumerate(_DTYPES)}
    ordered = sorted(arrays, key=lambda name: (ranks[_NAMES[arrays[name].dtype]], name))
    whole = hashlib.sha256()
    with file.open("wb") as handle:
        header = _header(arrays, ordered, metadata)
        whole.update(header)
        handle.write(header)
        for name in ordered:
            if sealed and name == _DIGEST:
                arrays[name][:] = np.frombuffer(whole.digest(), np.uint8)
            for block in _blocks(arrays[name]):
                whole.update(block)
                handle.write(block)
    return whole.hexdigest()


def open_tensors(file: Path) -> TensorFile:
    """Read the header of a file; UserError where it is cut, or none."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 0 < length <= size - 8:
            raise _damaged(file, "its header is cut")
        text = handle.read(length)
    try:
        written = json.loads(text)
        metadata = written.pop("__metadata__", {})
        entries = {name: _entry(one, 8 + length) for name, one in written.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, f"its header makes no sense ({error})") from None
    ends = [8 + length, *sorted(entry.end for entry in entries.values())]
    starts = sorted(entry.start for entry in entries.values())
    if starts != ends[:-1] or ends[-1] != size:
        raise _damaged(file, f"it has {size:,} bytes instead of {ends[-1]:,}")
    return TensorFile(file, metadata, entries)


def check_seal(opened: TensorFile) -> None:
    """See that a sealed file has the bytes it was written with, or raise UserError."""
    seal = opened.entries.get(_DIGEST)
    if seal is None or seal.shape != (32,):
        raise _damaged(opened.file, "it has no checksum")
    expected = np.zeros(32, np.uint8)
    opened.read_into(_DIGEST, expected)
    if hash_file(opened.file, seal.start).digest() != expected.tobytes():
        raise _damaged(opened.file, "its checksum is not that of its bytes")


def hash_file(file: Path, end: int | None = None) -> hashlib._Hash:
    """Return the SHA-256 of a file, or of its first `end` bytes."""
    found, left = hashlib.sha256(), file.stat().st_size if end is None else end
    with file.open("rb") as handle:
        while left > 0 and (block := handle.read(min(left, _BLOCK))):
            found.update(block)
            left -= len(block)
    return found


def _header(
    arrays: Mapping[str, NDArray[Any]], ordered: list[str], metadata: Mapping[str, str]
) -> bytes:
    """Return the length of the header, and the header, padded to a multiple of 8."""
    ends = np.cumsum([0, *(arrays[name].nbytes for name in ordered)]).tolist()
    written: dict[str, Any] = {"__metadata__": dict(metadata)}
    for name, place in zip(ordered, pairwise(ends), strict=True):
        array = arrays[name]
        written[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": place,
        }
    text = json.dumps(written, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _entry(written: dict[str, Any], base: int) -> Entry:
    dtype, shape = np.dtype(_DTYPES[written["dtype"]]), tuple(written["shape"])
    start, end = written["data_offsets"]
    if end - start != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{end - start} bytes for shape {shape}")
    return Entry(dtype, shape, base + start, base + end)


def _blocks(array: NDArray[Any]) -> Iterator[memoryview]:
    """Show the bytes of an array in pieces; none for an empty one."""
    if not array.size:
        return
    raw = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(raw), _BLOCK):
        yield raw[start : start + _BLOCK]


def _damaged(file: Path, why: str) -> UserError:
    return UserError(f"{file}: damaged: {why}; remove its run, and train it again")
