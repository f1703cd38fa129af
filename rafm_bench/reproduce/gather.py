"""Raw files found below a folder, and made the prepared data of an experiment."""

from __future__ import annotations

import itertools
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from rafm_bench.reproduce.sets import Choice, Found, counts_of
from rafm_bench.staging import staged_file, write_text
from rafm_datasets import (
    DataError,
    PrepareOptions,
    find_finished,
    generate,
    load_source,
    open_prepared,
    prepare,
)
from rafm_datasets.manifest import MANIFEST_NAME, SPLIT_NAMES
from rafm_datasets.raw import open_text, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.sets import Counts, DataSet, Protocol
    from rafm_datasets import PreparedData

MOST_LINES = 400_050
"""Lines of a raw file that a small budget reads; whole blocks of movies.txt, too."""
PLANTED_ROWS = {"small": 100_000, "full": 1_000_000}
ARCHIVES = {"frappe": "Mobile_Frappe.zip"}
"""Archives that are not called as their folder."""
UNPACKED = {"ml-10m": "ml-10M100K"}
"""Folders that archives unpack to, where they are not called as the archive."""
LOOSE = ("amazon",)
"""Folders whose files have telling names, so that they may lie in DIR itself."""


def find(data_set: DataSet, root: Path) -> Found | None:
    """Find the best raw files of a data set, or prepared data; None without any.

    FOLDER/FILE is looked for as such and packed (.gz), in folders below, in the folder
    that its archive unpacks to, and in the archive itself, FOLDER/FOLDER.zip or
    FOLDER.zip: wherever `rafm-bench fetch` puts it.

    Raises
    ------
    DataError                         prepared data that cannot be read, or that have
                                      no rows to validate or test with
    """
    for choice in data_set.choices:
        raw = [_find_all(name, root) for name in choice.raw]
        if all(raw):
            return Found(data_set, choice, tuple(raw))
    return _find_prepared(data_set, root)


def lay_out(found: Found, work: Path, budget: str, report: Reporter) -> Found:
    """Return the data set as a budget reads it: generated, or its first lines alone."""
    choice, place = found.choice, work / "raw"
    if choice.kind == "generated":
        rows = PLANTED_ROWS[budget]
        file = place / f"{found.data_set.name}-{rows}.tsv.gz"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            generate("criteo", rows, 0, str(file), progress=report)
        return replace(found, raw=(str(file),))
    if budget != "small" or choice.split != "random" or not found.raw:
        return found
    raw = tuple(
        _first_lines(one, choice, place / found.data_set.name) for one in found.raw
    )
    if raw == found.raw:
        return found
    kind = "part" if choice.kind in ("papers", "near") else choice.kind
    told = f"{choice.told}, the first {MOST_LINES:,} lines alone"
    return replace(found, choice=replace(choice, kind=kind, told=told), raw=raw)


def folder_of(found: Found, protocol: Protocol, work: Path, budget: str) -> Path:
    """Name the folder of the prepared data of a protocol."""
    counts = counts_of(protocol)
    if not found.raw and counts in found.prepared:
        return found.prepared[counts]
    return work / f"{found.data_set.name}.{budget}.counts-{counts}"


def prepare_set(
    found: Found, protocol: Protocol, work: Path, budget: str, report: Reporter
) -> PreparedData:
    """Prepare a data set for a protocol, unless `work` holds just that already.

    What was prepared from other files, or in another way, is prepared anew. Counts are
    those of all splits for the paper's protocol, else those of the training split.
    """
    out, choice = folder_of(found, protocol, work, budget), found.choice
    if not found.raw:
        return open_prepared(out)
    options = PrepareOptions(
        choice.source,
        found.raw,
        str(out),
        choice.split,
        choice.fractions,
        count_splits=counts_of(protocol),
        min_count=choice.min_count,
        hour=choice.hour,
        overwrite=True,
    )
    finished = find_finished(options)
    if finished is not None:
        return finished
    report.say(f"preparing {found.told}, counts of {options.count_splits} splits")
    return prepare(options, progress=report)


def _first_lines(raw: str, choice: Choice, folder: Path) -> str:
    """Return a raw file, or one of its first lines where it has too many.

    Whether it has is noted beside, so that a long file is read but once.
    """
    (item,) = resolve((raw,), load_source(choice.source).INFO.members, given=False)
    head, record = folder / item.name.removesuffix(".gz"), folder / "read.json"
    stamp = [item.label, *item.stamp(), MOST_LINES]
    known = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    if known.get("of") != stamp:
        with open_text(item) as text:
            is_long = any(True for _ in itertools.islice(text, MOST_LINES, None))
        if is_long:
            with (
                open_text(item) as text,
                staged_file(head) as temporary,
                temporary.open("wb") as to,
            ):
                to.writelines(itertools.islice(text, MOST_LINES))
        known = {"of": stamp, "is_long": is_long}
        write_text(record, json.dumps(known) + "\n")
    return str(head) if known["is_long"] else raw


def _find_all(names: str, root: Path) -> str:
    """Return the files of one split joined by commas; empty where one is missing."""
    files = [_find_one(name, root) for name in names.split(",")]
    return ",".join(map(str, files)) if all(files) else ""


def _find_one(name: str, root: Path) -> Path | None:
    folder, _, bare = name.partition("/")
    places = [root / folder, root / UNPACKED.get(folder, folder)]
    places += [root] * (folder in LOOSE)
    names = (bare, f"{bare}.gz")
    files = [place / one for place in places for one in names]
    below = (file for one in names for file in (root / folder).rglob(one))
    files += sorted(below, key=lambda file: (len(file.parts), file))
    archive = _archive_of(folder)
    packed = (root / folder / archive, root / archive)
    return next(
        itertools.chain(
            (file for file in files if file.is_file()),
            (file for file in packed if _holds(file, bare)),
        ),
        None,
    )


def _archive_of(folder: str) -> str:
    return ARCHIVES.get(folder, f"{folder}.zip")


def _holds(archive: Path, bare: str) -> bool:
    """Whether an archive is there and holds a file; a damaged one is refused later."""
    if not archive.is_file():
        return False
    try:
        with zipfile.ZipFile(archive) as file:
            return any(name.rsplit("/", 1)[-1] == bare for name in file.namelist())
    except zipfile.BadZipFile:
        return True


def _find_prepared(data_set: DataSet, root: Path) -> Found | None:
    """Find prepared data in the data set's folder, or in one just below it."""
    place = root / data_set.name
    files = [place / MANIFEST_NAME, *sorted(place.glob(f"*/{MANIFEST_NAME}"))]
    every = [open_prepared(file.parent) for file in files if file.is_file()]
    if not every:
        return None
    prepared: dict[Counts, Path] = {}
    for data in every:
        lacking = [name for name in SPLIT_NAMES if name not in data.splits]
        if lacking:
            raise DataError(
                f"{data.folder} has no rows in {' and '.join(lacking)}; prepare it "
                "with three splits, or move it away"
            )
        prepared.setdefault(data.manifest.parameters["count_splits"], data.folder)
    return Found(data_set, _choice_of(every[0], data_set), (), prepared)


def _choice_of(data: PreparedData, data_set: DataSet) -> Choice:
    """Tell what data were prepared from by the names of the raw files."""
    manifest, shaped = data.manifest, data.manifest.parameters
    names = {raw.name.removesuffix(".gz") for raw in manifest.raw_files}
    how = (
        f"prepared before, split {shaped['split']}, values kept from "
        f"{shaped['min_count']} on in the counts"
    )
    for choice in data_set.choices:
        files = [one for raw in choice.raw for one in raw.split(",")]
        own = {file.rpartition("/")[2] for file in files}
        packed = {_archive_of(file.partition("/")[0]) for file in files}
        if manifest.source == choice.source and names in (own, packed):
            return replace(choice, raw=(), told=f"{choice.told}; {how}", differs="")
    told = f"from files that are not known here, {', '.join(sorted(names))}; {how}"
    return Choice("stand-in", manifest.source, (), told)
