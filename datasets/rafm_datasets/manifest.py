"""The manifest of a prepared folder: what it holds, from what, made how."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rafm_datasets.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"
WORK_FOLDER = ".prepare"
SPLIT_NAMES = ("train", "valid", "test")

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class RawFile:
    """One raw input: its bare name, size and hash as stored (packed or not)."""

    name: str
    size: int
    sha256: str
    split: str | None


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its features (the two reserved ones counted) and reserved ids."""

    name: str
    n_features: int
    multi: bool
    null_id: int
    rare_id: int


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of the prepared folder, named relative to it."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Split:
    """One split: rows, label figures, order of its rows, files.

    `order` is "mixed" (sorted by a hash of the row number), "raw" or "time";
    `displacement` is the mean distance of a mixed row from its raw place, in parts of
    the split (1/3 for a perfect shuffle); 0 when rows are not mixed.
    """

    rows: int
    entries: int
    positives: int | None
    label_mean: float | None
    order: Literal["mixed", "raw", "time"]
    displacement: float
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that manifest.json holds, one member for each of its keys."""

    schema_version: int
    source: str
    task: Task
    layout: Literal["columns", "lists"]
    unit_values: bool
    row_group_rows: int
    n_features: int
    fields: tuple[Field, ...]
    splits: dict[str, Split]
    frequencies: DataFile
    quarantined_rows: int
    seed: int
    parameters: dict[str, Any]
    raw_files: tuple[RawFile, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of what defines the data: task, fields and every file's content.

        Returns
        -------
        str                            sha256 in hexadecimal; names of raw files,
                                       dates and the host have no part in it
        """
        whole = asdict(self)
        kept = ("schema_version", "task", "layout", "fields", "splits", "frequencies")
        text = json.dumps({key: whole[key] for key in kept}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Turn a manifest into plain JSON values.

    Parameters
    ----------
    manifest : Manifest

    Returns
    -------
    dict                               keys in the order of the members
    """
    return asdict(manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a prepared folder.

    Parameters
    ----------
    folder : Path                      as given to `prepare --out`

    Returns
    -------
    Manifest

    Raises
    ------
    DataError                          not there, half-written, newer or not JSON
    """
    path = folder / MANIFEST_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(_why_missing(folder)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(_malformed(path, error)) from error
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path} is of schema version {version}, this program reads version "
            f"{SCHEMA_VERSION}; update rafm-bench, or prepare the data again"
        )
    try:
        return _from_json(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(_malformed(path, error)) from error


def _malformed(path: Path, error: Exception) -> str:
    return (
        f"{path} is not a manifest of prepared data ({type(error).__name__}: {error}); "
        "prepare the data again"
    )


def _why_missing(folder: Path) -> str:
    if not folder.exists():
        return f"{folder} does not exist; make it with `rafm-bench prepare`"
    if (folder / WORK_FOLDER).is_dir():
        return (
            f"{folder} is half-written; finish it by running the same "
            "`rafm-bench prepare` command again"
        )
    return (
        f"{folder} is not prepared data (it has no {MANIFEST_NAME}); "
        "give a folder made by `rafm-bench prepare`"
    )


def _from_json(content: dict[str, Any]) -> Manifest:
    members = dict(content)
    members["fields"] = tuple(Field(**item) for item in content["fields"])
    members["frequencies"] = DataFile(**content["frequencies"])
    members["raw_files"] = tuple(RawFile(**item) for item in content["raw_files"])
    members["splits"] = {
        name: Split(**{**item, "files": tuple(DataFile(**f) for f in item["files"])})
        for name, item in content["splits"].items()
    }
    return Manifest(**members)
