"""Where prepared data is: a local folder, or an address such as s3://bucket/data.

Code that reads prepared data takes either and sees a `Path`: an `Address` has those of
its methods that such code needs, over fsspec.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCAL = "file://"


@dataclass(frozen=True, slots=True)
class Address:
    """A folder or file that fsspec reaches."""

    url: str

    def __str__(self) -> str:
        """Return the address as it was given."""
        return self.url

    def __truediv__(self, name: str) -> Address:
        """Name what is within."""
        return Address(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """Last part of the address."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    def resolve(self) -> Address:
        """Return itself: an address is the same from everywhere."""
        return self

    def exists(self) -> bool:
        """Tell whether there is a file or folder."""
        with _reaching(self) as (system, path):
            return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Tell whether there is a folder."""
        with _reaching(self) as (system, path):
            return bool(system.isdir(path))

    def is_file(self) -> bool:
        """Tell whether there is a file."""
        with _reaching(self) as (system, path):
            return bool(system.isfile(path))

    def names(self) -> list[str]:
        """List the names within a folder; none where there is no folder."""
        with _reaching(self) as (system, path):
            if not system.isdir(path):
                return []
            found = system.ls(path, detail=False)
            return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open a file, to read bytes; FileNotFoundError as with a Path."""
        with _reaching(self) as (system, path):
            file: IO[bytes] = system.open(path, mode)
            return file

    def read_text(self, encoding: str = "utf-8") -> str:
        """Read a whole text."""
        with self.open() as file:
            return file.read().decode(encoding)

    def put(self, local: Path) -> None:
        """Write a local file here."""
        with _reaching(self) as (system, path):
            _in_a_folder(system, path, lambda: system.put_file(str(local), path))

    def write_bytes(self, content: bytes) -> None:
        """Write a file."""
        with _reaching(self) as (system, path):
            _in_a_folder(system, path, lambda: system.pipe_file(path, content))

    def remove(self) -> None:
        """Remove a file or a folder with all that is in it, if there is one."""
        with _reaching(self) as (system, path):
            if system.exists(path):
                system.rm(path, recursive=True)

    def modified_ns(self) -> int:
        """Tell when a file was written; 0 where that is not known."""
        with _reaching(self) as (system, path):
            try:
                return int(system.modified(path).timestamp() * 1e9)
            except NotImplementedError:
                return 0


def locate(place: str | Path) -> Path:
    """Tell a local place from an address; file:// is local.

    Parameters
    ----------
    place : str or Path

    Returns
    -------
    Path                               or an `Address`, which stands in for a Path
                                       wherever prepared data is read
    """
    if isinstance(place, Address):
        return cast("Path", place)
    if isinstance(place, str) and "://" in place:
        if not place.startswith(_LOCAL):
            return cast("Path", Address(place))
        place = place.removeprefix(_LOCAL)
    return Path(place)


def names_within(folder: Path) -> list[str]:
    """List the names within a folder; none where there is no folder."""
    if isinstance(folder, Address):
        return folder.names()
    return sorted(path.name for path in folder.glob("*"))


def modified_ns(file: Path) -> int:
    """Tell when a file was written, in nanoseconds; 0 where that is not known."""
    if isinstance(file, Address):
        return file.modified_ns()
    return file.stat().st_mtime_ns


@contextlib.contextmanager
def parquet_file(path: Path, **options: Any) -> Iterator[Any]:
    """Open a Parquet file as a `pyarrow.parquet.ParquetFile`, closed at the end."""
    opened = open_parquet(path, **options)
    try:
        yield opened
    finally:
        opened.close(force=True)


def open_parquet(path: Path, **options: Any) -> Any:
    """Open a Parquet file, to be closed by `close(force=True)`.

    What is read of a file that is not here is asked for in few large pieces.
    """
    import pyarrow.parquet as pq

    if isinstance(path, Address):
        return pq.ParquetFile(path.open(), pre_buffer=True, **options)
    return pq.ParquetFile(path, **options)


def _in_a_folder(system: Any, path: str, write: Callable[[], object]) -> None:
    """Write a file; make its folder, but no bucket, if the file system wants one."""
    try:
        write()
    except FileNotFoundError as error:
        root = path.partition("/")[0] or "/"
        if not system.exists(root):
            raise DataError(
                f"cannot write {path}: there is no {root}; make it, or check the "
                "address"
            ) from error
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        write()


@contextlib.contextmanager
def _reaching(address: Address) -> Iterator[tuple[Any, str]]:
    """Give file system and path; what they raise becomes one sentence."""
    import fsspec

    try:
        yield fsspec.url_to_fs(address.url)
    except (FileNotFoundError, NotImplementedError, DataError):
        raise
    except Exception as error:  # each file system raises what it likes
        raise DataError(
            f"cannot reach {address}: {error}; check the address, and that its "
            "file system's package and credentials are there"
        ) from error
