"""What can go wrong: a mistake of the user's, or a disk that does not take the data."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_OF_THE_PLACE = frozenset(
    (
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    )
)


class DataError(Exception):
    """A mistake in data or arguments, in one sentence: what, where, how to mend it."""


class WriteError(Exception):
    """A disk that is full or broken, in one sentence; the arguments were sound."""


def cannot_write(path: Path, error: OSError) -> DataError | WriteError:
    """Tell what keeps a file from being written, and whose it is to mend.

    Parameters
    ----------
    path : Path                        what was to be written
    error : OSError

    Returns
    -------
    DataError or WriteError            DataError when another place has to be chosen
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _OF_THE_PLACE:
        return DataError(f"cannot write {path}: {reason}; choose another --out")
    return WriteError(
        f"cannot write {path}: {reason}; free some space (or choose another --out), "
        "then run the command again"
    )
