"""Raw inputs: arguments resolved to files and archive members, opened unpacked."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from rafm_datasets.errors import DataError
from rafm_datasets.manifest import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Packing = Literal["plain", "gzip", "zip", "tar"]
PACKING_ERRORS = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, OSError)


@dataclass(frozen=True, slots=True)
class RawInput:
    """One raw text: a file, or one member of an archive; `split` when it is given."""

    path: str
    packing: Packing
    member: str | None
    split: str | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.path if self.member is None else f"{self.path}/{self.member}"

    @property
    def name(self) -> str:
        """Bare name of the text within, without .gz."""
        name = (self.member or self.path).rsplit("/", 1)[-1]
        return name.removesuffix(".gz") if self.packing == "gzip" else name

    def size(self) -> int:
        """Bytes of the file as stored."""
        if "://" not in self.path:
            return Path(self.path).stat().st_size
        with open_file(self.path) as file:
            return file.seek(0, io.SEEK_END)

    def stamp(self) -> tuple[int, int]:
        """Size and time of change (0 where there is none), to see a file change."""
        remote = "://" in self.path
        return self.size(), 0 if remote else Path(self.path).stat().st_mtime_ns


def resolve(
    raw: Sequence[str], members: Sequence[str], *, given: bool
) -> tuple[RawInput, ...]:
    """Turn the RAW arguments into inputs, in order.

    Parameters
    ----------
    raw : sequence of str              each a file, folder, archive, glob, fsspec
                                       address, or several of these joined by commas
    members : sequence of str          names wanted from a folder or archive, best first
    given : bool                       the arguments are train, validation and test

    Returns
    -------
    tuple of RawInput

    Raises
    ------
    DataError                          nothing there, or no wanted file within
    """
    if given and len(raw) not in (2, 3):
        raise DataError(
            f"a given split needs train, validation and test files, got {len(raw)} "
            "raw arguments; name three (join the files of one split by commas), "
            "or two for train and test"
        )
    names: tuple[str | None, ...] = (None,) * len(raw)
    if given:
        names = SPLIT_NAMES if len(raw) == 3 else ("train", "test")
    return tuple(
        item
        for argument, split in zip(raw, names, strict=True)
        for path in _paths(argument)
        for item in _inputs(path, members, split)
    )


def _paths(argument: str) -> Iterator[str]:
    if "://" in argument:
        yield from _remote_paths(argument)
        return
    if Path(argument).exists():
        yield argument
        return
    for part in argument.split(","):
        found = [part] if Path(part).exists() else _glob(part)
        if not found:
            raise DataError(f"there is no file {part}; check the path or pattern")
        yield from sorted(found, key=_natural)


def _glob(pattern: str) -> list[str]:
    path = Path(pattern)
    try:
        return [
            str(found)
            for found in Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        ]
    except ValueError:  # an empty pattern
        return []


def _remote_paths(argument: str) -> Iterator[str]:
    import fsspec

    for part in argument.split(","):
        try:
            found = fsspec.open_files(part, "rb")
        except (OSError, ImportError, ValueError) as error:
            raise DataError(
                f"cannot reach {part}: {error}; check the address"
            ) from error
        yield from sorted((file.full_name for file in found), key=_natural)


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort key under which day_2 comes before day_10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", path)
    ]


def _inputs(path: str, members: Sequence[str], split: str | None) -> list[RawInput]:
    local = Path(path)
    if "://" not in path and local.is_dir():
        inside = [
            str(found.relative_to(local))
            for found in sorted(local.glob("**/*"))
            if found.is_file()
        ]
        names = [*members, *(f"{member}.gz" for member in members)]
        member = _wanted(inside, names, path)
        return _inputs(str(local / member), members, split)
    if path.endswith(".zip"):
        with _archive(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
        return [RawInput(path, "zip", _wanted(names, members, path), split)]
    if path.endswith((".tar.gz", ".tgz", ".tar")):
        with _archive(path) as archive:
            names = [info.name for info in archive.getmembers() if info.isfile()]
        return [RawInput(path, "tar", _wanted(names, members, path), split)]
    return [RawInput(path, "gzip" if path.endswith(".gz") else "plain", None, split)]


def _wanted(names: Sequence[str], members: Sequence[str], path: str) -> str:
    if len(names) == 1 and not members:
        return names[0]
    for member in members:
        for name in names:
            if fnmatch(name.rsplit("/", 1)[-1], member):
                return name
    wanted = ", ".join(members) or "a single file"
    raise DataError(f"{path} does not hold {wanted}; name the file itself")


@contextlib.contextmanager
def _archive(path: str) -> Iterator[Any]:
    try:
        with open_file(path) as file:
            if path.endswith(".zip"):
                with zipfile.ZipFile(file) as archive:
                    yield archive
            else:
                with tarfile.open(fileobj=file) as tar:
                    yield tar
    except PACKING_ERRORS as error:
        raise damaged(path, error) from error


def open_file(path: str) -> IO[bytes]:
    """Open a file or fsspec address as it is stored."""
    if "://" not in path:
        return Path(path).open("rb")
    import fsspec

    file: IO[bytes] = fsspec.open(path, "rb").open()
    return file


@contextlib.contextmanager
def open_text(item: RawInput) -> Iterator[IO[bytes]]:
    """Open the text of an input, unpacked.

    Parameters
    ----------
    item : RawInput

    Yields
    ------
    file                               readable in binary

    Raises
    ------
    DataError                          not readable, or a truncated or damaged archive
    """
    try:
        if item.packing in ("zip", "tar"):
            with _archive(item.path) as archive:
                opener = archive.open if item.packing == "zip" else archive.extractfile
                with opener(item.member) as text:
                    yield text
        else:
            with open_file(item.path) as file:
                if item.packing == "gzip":
                    with gzip.GzipFile(fileobj=file) as text:
                        yield cast("IO[bytes]", text)
                else:
                    yield file
    except PACKING_ERRORS as error:
        raise damaged(item.label, error) from error


def damaged(path: str, error: Exception) -> DataError:
    """Tell that a file cannot be read or unpacked."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"cannot read {path}: {error.strerror}; check its permissions")
    return DataError(
        f"{path} is damaged or cut short ({error}); fetch it again, "
        "or unpack what is left of it by hand"
    )
