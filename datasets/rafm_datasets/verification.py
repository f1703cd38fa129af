"""Prepared data checked against its manifest: hashes, counts, invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_datasets.execute import Progress, silent
from rafm_datasets.files import sha256_of
from rafm_datasets.frequency_checks import check_frequencies
from rafm_datasets.location import names_within, parquet_file
from rafm_datasets.manifest import SPLIT_NAMES
from rafm_datasets.prepared import PreparedData, open_prepared
from rafm_datasets.work import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from rafm_datasets.manifest import DataFile


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and every problem found, each in one sentence."""

    folder: str
    files: int
    rows: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


@dataclass(slots=True)
class _Sums:
    """What the rows of one split add up to."""

    counts: NDArray[np.int64]
    label_sums: NDArray[np.float64]  # by feature
    rows: int = 0
    label_sum: float = 0.0


def verify(folder: str | Path, progress: Progress | None = None) -> Verification:
    """Recompute the hashes, counts and invariants of a prepared folder.

    Parameters
    ----------
    folder : str or Path
    progress : Progress or None        called as progress(stage, done, total, unit)

    Returns
    -------
    Verification

    Raises
    ------
    DataError                          not prepared data at all, half-written or newer
    """
    data = open_prepared(folder)
    files = [data.manifest.frequencies]
    files += [f for split in data.manifest.splits.values() for f in split.files]
    problems, damaged = [], set()
    for done, file in enumerate(files, 1):
        problem = _hash_problem(data.folder, file)
        if problem:
            problems.append(problem)
            damaged.add(file.name)
        (progress or silent)("verify", done, len(files), "files")
    problems += _strangers(data, {file.name for file in files})
    sums: dict[str, _Sums] = {}
    field_of = _field_of_feature(data, damaged)
    for name in SPLIT_NAMES:
        found = _split_problems(data, name, damaged, field_of, sums)
        problems += [problem for problem in found if problem]
    if data.manifest.frequencies.name not in damaged:
        counted = {name: (s.counts, s.label_sums) for name, s in sums.items()}
        problems += check_frequencies(data, counted)
    problems += _quarantine_problems(data)
    n_rows = sum(split.rows for split in data.manifest.splits.values())
    return Verification(str(folder), len(files), n_rows, tuple(problems))


def _hash_problem(folder: Path, file: DataFile) -> str | None:
    path = folder / file.name
    try:
        found = sha256_of(path)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if found != file.sha256:
        return f"{path} has changed: its sha256 is {found}, not {file.sha256}"
    return None


def _strangers(data: PreparedData, known: set[str]) -> list[str]:
    found = (
        f"{split}/{name}"
        for split in SPLIT_NAMES
        for name in names_within(data.folder / split)
    )
    return [
        f"{data.folder / name} is not in the manifest"
        for name in found
        if name not in known
    ]


def _field_of_feature(
    data: PreparedData, damaged: set[str]
) -> NDArray[np.int32] | None:
    """Read the field of each feature (-1: not known); None when that cannot be told."""
    if data.manifest.frequencies.name in damaged:
        return None
    number = {field.name: i for i, field in enumerate(data.fields)}
    names = data.frequencies()["field"]
    found = names.replace_strict(number, default=-1, return_dtype=pl.Int32).to_numpy()
    return found if len(found) == data.n_features else None


def _split_problems(
    data: PreparedData,
    name: str,
    damaged: set[str],
    field_of: NDArray[np.int32] | None,
    sums: dict[str, _Sums],
) -> Iterator[str | None]:
    """Check the rows of one split; leave its sums unless a file is damaged."""
    split = data.manifest.splits[name]
    n = data.n_features
    total = _Sums(np.zeros(n, np.int64), np.zeros(n))
    whole = True
    for file in split.files:
        if file.name in damaged:
            whole = False
            continue
        before = total.rows
        problem = _add_file(data, file, total, field_of)
        yield problem
        whole = whole and problem is None
        yield _differs(f"{file.name} holds", file.rows, total.rows - before, "rows")
    if not whole:
        return
    sums[name] = total
    entries = int(total.counts.sum())
    yield _differs(f"split {name} has", split.rows, total.rows, "rows")
    yield _differs(f"split {name} has", split.entries, entries, "entries")
    if split.positives is not None:
        positives = int(total.label_sum)
        yield _differs(f"split {name} has", split.positives, positives, "positives")
    if split.label_mean is not None:
        mean = total.label_sum / max(total.rows, 1)
        if not np.isclose(mean, split.label_mean, rtol=1e-6):
            yield f"labels of split {name} have mean {mean}, not {split.label_mean}"


def _differs(what: str, stated: int, found: int, unit: str) -> str | None:
    if stated == found:
        return None
    return f"{what} {found} {unit}, the manifest says {stated}"


def _add_file(
    data: PreparedData,
    file: DataFile,
    total: _Sums,
    field_of: NDArray[np.int32] | None,
) -> str | None:
    """Add up one file's rows; tell the first thing that is wrong within."""
    import pyarrow as pa

    path = data.folder / file.name
    try:
        with parquet_file(path) as parquet:
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, use_threads=False)
                problem = _add_table(data, table, total, field_of)
                if problem:
                    return f"{path}, row group {group}: {problem}"
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        return f"{path} cannot be read as Parquet ({error})"
    return None


def _add_table(
    data: PreparedData,
    table: pa.Table,
    total: _Sums,
    field_of: NDArray[np.int32] | None,
) -> str | None:
    labels = table["label"].to_numpy().astype(np.float64)
    total.rows += len(labels)
    total.label_sum += float(labels.sum())
    if not np.isfinite(labels).all():
        return "a label is not finite"
    if data.task == "classification" and not np.isin(labels, (0, 1)).all():
        return "a label is neither 0 nor 1"
    for ids, lengths, field in _id_columns(data, table):
        if len(ids) and not 0 <= ids.min() <= ids.max() < data.n_features:
            return f"an id is not in 0 to {data.n_features - 1}"
        if field is None or field_of is None:
            pass
        elif (field_of[ids] != field).any():
            return f"an id of column {data.fields[field].name} is of another field"
        n = data.n_features
        total.counts += np.bincount(ids, minlength=n)
        weights = labels if lengths is None else np.repeat(labels, lengths)
        total.label_sums += np.bincount(ids, weights, n)
    return None


def _id_columns(
    data: PreparedData, table: pa.Table
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64] | None, int | None]]:
    """Yield the ids of each column: with the lengths of lists, or with the field."""
    if data.manifest.layout == "columns":
        for number, field in enumerate(data.fields):
            yield table[field.name].to_numpy(), None, number
        return
    for chunk in table["ids"].chunks:
        offsets = chunk.offsets.to_numpy()  # type: ignore[attr-defined]
        ids = chunk.flatten().to_numpy()  # type: ignore[attr-defined]
        yield ids, np.diff(offsets).astype(np.int64), None


def _quarantine_problems(data: PreparedData) -> list[str]:
    path = data.folder / QUARANTINE / "part-00000.parquet"
    stated = data.manifest.quarantined_rows
    try:
        found = _rows_in(path) if path.exists() else 0
    except OSError as error:
        return [f"{path} cannot be read as Parquet ({error})"]
    problem = _differs(f"{path} holds", stated, found, "rows")
    return [problem] if problem else []


def _rows_in(path: Path) -> int:
    with parquet_file(path) as parquet:
        return int(parquet.metadata.num_rows)
