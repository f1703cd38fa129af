"""The work folder of a run: its lock, its plan, and what is done already.

Every work file is written whole or not at all and the last one of a task marks it
done, so a killed run goes on with the tasks that have no marker.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rafm_datasets.errors import DataError, cannot_write
from rafm_datasets.files import sha256_of, write_json
from rafm_datasets.frequencies import FREQUENCIES_NAME
from rafm_datasets.location import locate, modified_ns, names_within
from rafm_datasets.manifest import (
    MANIFEST_NAME,
    SPLIT_NAMES,
    WORK_FOLDER,
    Manifest,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rafm_datasets.options import PrepareOptions
    from rafm_datasets.raw import RawInput

QUARANTINE = "quarantine"
WORK_FORMAT = 2  # of the work files; another one cannot be resumed from
_OURS = (*SPLIT_NAMES, QUARANTINE, FREQUENCIES_NAME, MANIFEST_NAME, WORK_FOLDER)


def finished_manifest(
    options: PrepareOptions, inputs: Sequence[RawInput]
) -> Manifest | None:
    """Look whether the output folder is finished already, with the same parameters.

    Parameters
    ----------
    options : PrepareOptions
    inputs : sequence of RawInput

    Returns
    -------
    Manifest or None                   None: there is work to do

    Raises
    ------
    DataError                          not our folder, or made with other parameters
    """
    out = locate(options.out)
    if not (out / MANIFEST_NAME).exists():
        _refuse_foreign(out)
        return None
    manifest = read_manifest(out)
    same = _same(manifest, options, inputs) and _unchanged(out, manifest, inputs)
    if options.overwrite and not same:
        return None
    if not same:
        raise DataError(
            f"{out} was prepared already, from other raw files or with other "
            "parameters; choose another --out, or replace it with --overwrite"
        )
    return manifest


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; choose a folder for --out")
    if names_within(out) and not (out / WORK_FOLDER).is_dir():
        raise DataError(
            f"{out} holds other files than prepared data; choose a new or empty "
            "folder for --out"
        )


def _same(
    manifest: Manifest, options: PrepareOptions, inputs: Sequence[RawInput]
) -> bool:
    made_of = [(raw.name, raw.size, raw.split) for raw in manifest.raw_files]
    return (
        manifest.source == options.source
        and manifest.seed == options.seed
        and manifest.parameters == options.parameters
        and made_of == [(_base(item), item.size(), item.split) for item in inputs]
    )


def _unchanged(out: Path, manifest: Manifest, inputs: Sequence[RawInput]) -> bool:
    """Tell whether raw files touched since still hold the same bytes."""
    written = modified_ns(out / MANIFEST_NAME)
    return all(
        sha256_of(Path(item.path)) == raw.sha256
        for item, raw in zip(inputs, manifest.raw_files, strict=True)
        if item.stamp()[1] > written
    )


def _base(item: RawInput) -> str:
    return item.path.rsplit("/", 1)[-1]


@contextlib.contextmanager
def locked(out: Path) -> Iterator[Path]:
    """Hold the output folder against a second run; yield its work folder.

    Parameters
    ----------
    out : Path                         made if need be

    Yields
    ------
    Path                               the work folder

    Raises
    ------
    DataError                          another run holds it, or it cannot be written
    """
    folder = out / WORK_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise cannot_write(out, error) from error
    with file:
        _take(file, out)
        yield folder


def _take(file: IO[str], out: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise DataError(
            f"{out} is being prepared by {holder}; wait for it, or choose another --out"
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()


def open_plan(
    folder: Path, options: PrepareOptions, inputs: Sequence[RawInput], chunk_bytes: int
) -> int:
    """Begin a run, or go on with one that was broken off.

    Parameters
    ----------
    folder : Path                      the work folder, locked
    options : PrepareOptions
    inputs : sequence of RawInput
    chunk_bytes : int                  what the memory limit allows

    Returns
    -------
    int                                chunk_bytes to use: those of the broken-off run
                                       where they are within the limit

    Raises
    ------
    DataError                          the broken-off run was another one
    """
    path = folder / "plan.json"
    plan = _plan(options, inputs)
    found = _read_plan(path)
    old_bytes, boot = found.pop("chunk_bytes", 0), found.pop("boot", None)
    if found and found != plan and not options.overwrite and _has_work(folder):
        raise _other_run(folder)
    # Work files are not synced, so those of before a crash of the machine may be torn.
    if found == plan and old_bytes <= chunk_bytes and boot == _boot():
        return int(old_bytes)
    _clear(folder)
    write_json(path, {**plan, "chunk_bytes": chunk_bytes, "boot": _boot()})
    return chunk_bytes


def would_resume(
    out: Path, options: PrepareOptions, inputs: Sequence[RawInput]
) -> bool:
    """Tell whether a run that was broken off would be gone on with; touch nothing.

    Raises
    ------
    DataError                          the broken-off run was another one
    """
    folder = out / WORK_FOLDER
    found = _read_plan(folder / "plan.json")
    boot = found.pop("boot", None)
    found.pop("chunk_bytes", None)
    if not found or not _has_work(folder):
        return False
    same = found == _plan(options, inputs)
    if not same and not options.overwrite:
        raise _other_run(folder)
    return same and boot == _boot()


def _other_run(folder: Path) -> DataError:
    return DataError(
        f"{folder.parent} holds an unfinished run with other parameters or raw "
        "files that changed since; begin anew with --overwrite"
    )


def _boot() -> str:
    """Name the machine and its boot; a new one after every crash."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot.strip()}"


def _plan(options: PrepareOptions, inputs: Sequence[RawInput]) -> dict[str, Any]:
    return {
        "work_format": WORK_FORMAT,
        "source": options.source,
        "seed": options.seed,
        "parameters": options.parameters,
        "raw": [[item.label, item.split, *item.stamp()] for item in inputs],
    }


def _has_work(folder: Path) -> bool:
    """Tell whether more is there than what every run begins with.

    A run that failed on its first rows must not stand in the way of the mended command.
    """
    return any(path.name not in ("lock", "plan.json") for path in folder.iterdir())


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # none yet, or torn
        return {}
    return plan


def _clear(folder: Path) -> None:
    """Remove what an earlier run left in the output folder, the lock excepted.

    The manifest goes first, so that what is half removed does not look finished.
    """
    out = folder.parent
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    for name in _OURS:
        if name != WORK_FOLDER:
            _remove(out / name)
    for path in folder.iterdir():
        if path.name != "lock":
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def tidy(out: Path, manifest: Manifest) -> None:
    """Remove the work folder and half-written files after the manifest is there."""
    for place in (out, out / QUARANTINE):
        for path in place.glob(".*.tmp"):  # of `replacing`, killed
            path.unlink()
    known = {file.name for split in manifest.splits.values() for file in split.files}
    for split in SPLIT_NAMES:
        for path in (out / split).glob("*"):
            if f"{split}/{path.name}" not in known:
                path.unlink()
    shutil.rmtree(out / WORK_FOLDER, ignore_errors=True)
