"""Prepared data brought to an address, the manifest last: without it, it is not there.

The work is done in a local folder that is named by the address, so that the same
command finds it again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_datasets.errors import DataError
from rafm_datasets.location import Address, locate
from rafm_datasets.manifest import MANIFEST_NAME, SPLIT_NAMES, WORK_FOLDER
from rafm_datasets.work import QUARANTINE

if TYPE_CHECKING:
    from rafm_datasets.execute import Progress
    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.prepared import PreparedData

_APPLICATION = "rafm-bench"


def work_place(options: PrepareOptions) -> Path:
    """Name the local folder that `prepare` works in: --out itself, unless far away.

    Parameters
    ----------
    options : PrepareOptions

    Returns
    -------
    Path
    """
    out = locate(options.out)
    if not isinstance(out, Address):
        return out
    if options.work is not None:
        return Path(options.work)
    import pooch

    name = hashlib.sha256(options.out.encode()).hexdigest()[:16]
    return Path(pooch.os_cache(_APPLICATION)) / "prepare" / name


def announce(target: Address) -> None:
    """See that `target` can be written to, before any work; readers see it half-made.

    Raises
    ------
    DataError
    """
    text = f"process {os.getpid()} on {socket.gethostname()}\n"
    (target / WORK_FOLDER / "preparing").write_bytes(text.encode())


def upload(data: PreparedData, target: Address, progress: Progress) -> None:
    """Bring a finished local folder to `target`, and remove it here.

    Parameters
    ----------
    data : PreparedData                local, finished, its folder locked
    target : Address
    progress : Progress

    Raises
    ------
    DataError                          it cannot be written to; the local folder stays
    """
    here = data.folder
    if not (here / MANIFEST_NAME).exists():
        raise DataError(
            f"{here} was brought to {target} by another run meanwhile; run the command "
            "again to see what is there"
        )
    (target / MANIFEST_NAME).remove()
    files = sorted(path for path in here.rglob("*") if path.is_file())
    names = [path.relative_to(here).as_posix() for path in files]
    names = [name for name in names if not name.startswith(f"{WORK_FOLDER}/")]
    names.remove(MANIFEST_NAME)
    sizes = [(here / name).stat().st_size for name in names]
    done, total = 0, sum(sizes)
    for name, size in zip(names, sizes, strict=True):
        progress("upload", done, total, "bytes")
        (target / name).put(here / name)
        done += size
    progress("upload", done, total, "bytes")
    _remove_others(target, set(names))
    (target / MANIFEST_NAME).put(here / MANIFEST_NAME)
    (target / WORK_FOLDER).remove()  # until then it is known to be ours
    shutil.rmtree(here)


def _remove_others(target: Address, names: set[str]) -> None:
    """Remove what an earlier run left there."""
    for part in (*SPLIT_NAMES, QUARANTINE):
        for name in (target / part).names():
            if f"{part}/{name}" not in names:
                (target / part / name).remove()
