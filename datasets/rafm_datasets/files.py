"""Files written whole or not at all: temporary name, sync, rename.

Work files are not synced: they outlive a killed process, and after a crash of the
machine no run goes on from them (see `work.open_plan`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from rafm_datasets.errors import cannot_write
from rafm_datasets.manifest import WORK_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; sync and rename it when the block ends.

    Parameters
    ----------
    path : Path                        the final name; an existing file is replaced

    Raises
    ------
    DataError                          not writable there
    WriteError                         the disk is full or broken
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        if not _is_work(path):  # a worker lost long ago must not bring it back
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not _is_work(path):
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the renames within `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not _is_work(path):
        sync_folder(path.parent)


def _is_work(path: Path) -> bool:
    return path.parent.name == WORK_FOLDER


def sha256_of(path: Path) -> str:
    """Hash a file's bytes.

    Returns
    -------
    str                                sha256 in hexadecimal
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
