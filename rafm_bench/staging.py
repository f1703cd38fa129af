"""Outputs that appear whole or not at all: written beside, synced, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.errors import RunError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def refuse_existing(folder: Path) -> None:
    """Raise UserError when `folder` is taken already."""
    if folder.exists():
        raise UserError(
            f"{folder}: exists already; choose another folder, or remove it first"
        )


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, renamed to it when all went well."""
    refuse_existing(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(
            prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent
        )
    temporary = Path(made)
    try:
        with filling(folder):
            temporary.chmod(0o777 & ~umask())
            yield temporary
            for file in temporary.rglob("*"):
                sync(file)
            refuse_existing(folder)
            temporary.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def staged_file(file: Path) -> Iterator[Path]:
    """Give a temporary name beside `file` that replaces it when all went well."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    try:
        with filling(file):
            yield temporary
            sync(temporary)
            temporary.replace(file)
            sync(file.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Take a place that cannot be written to as the user's to mend."""
    try:
        with filling(path):
            yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose another place"
        ) from error


@contextmanager
def filling(path: Path) -> Iterator[None]:
    """Take a disk that is full or broken as a failure of the run."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise RunError(
            f"cannot write {path}: {os.strerror(error.errno)}; free some space, or "
            "choose another place"
        ) from error


def write_text(file: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with staged_file(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return the permission bits that this process keeps from new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
