"""Raw files found below a folder, and made the prepared data of an experiment."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rafm_bench.reproduce.sets import Found
from rafm_bench.staging import staged_file
from rafm_datasets import PrepareOptions, generate, open_prepared, prepare

if TYPE_CHECKING:
    from rafm_bench.progress import Reporter
    from rafm_bench.reproduce.sets import DataSet, Protocol
    from rafm_datasets import PreparedData

MOST_LINES = 400_050
"""Lines of a raw file that a small budget reads; whole blocks of movies.txt, too."""
PLANTED_ROWS = {"small": 100_000, "full": 1_000_000}


def find(data_set: DataSet, root: Path) -> Found | None:
    """Find the best raw files of a data set below `root`; None where there are none."""
    for choice in data_set.choices:
        raw = [_find_all(name, root) for name in choice.raw]
        if all(raw):
            return Found(data_set, choice, tuple(raw))
    return None


def prepare_set(
    found: Found, protocol: Protocol, work: Path, budget: str, report: Reporter
) -> PreparedData:
    """Prepare a data set for a protocol, unless `work` holds it already.

    Values seen once by the paper's count are features; other protocols count the
    training split alone.
    """
    name = found.data_set.name
    counts: Literal["all", "train"] = "all" if protocol == "paper" else "train"
    out, raw = work / f"{name}.counts-{counts}", found.raw
    if (out / "manifest.json").is_file():
        return open_prepared(out)
    if found.choice.kind == "generated":
        raw = (str(_generate(name, work, budget, report)),)
    elif budget == "small" and found.choice.split == "random":
        raw = tuple(str(_head(Path(file), head_file(found, work))) for file in raw)
    report.say(f"preparing {found.told}, counts of {counts} splits")
    options = PrepareOptions(
        found.choice.source,
        raw,
        str(out),
        found.choice.split,
        found.choice.fractions,
        count_splits=counts,
        min_count=4 if found.choice.kind == "generated" else 1,
    )
    return prepare(options, progress=report)


def head_file(found: Found, work: Path) -> Path:
    """Name the file of the first lines, which is there where not all are read."""
    first = Path(found.raw[0]) if found.raw else Path("none")
    return work / "raw" / found.data_set.name / first.name.removesuffix(".gz")


def _head(raw: Path, head: Path) -> Path:
    """Return a raw file, or one of its first lines where it has too many."""
    with gzip.open(raw) if raw.suffix == ".gz" else raw.open("rb") as file:
        if not any(True for _ in itertools.islice(file, MOST_LINES, None)):
            return raw
        file.seek(0)
        with staged_file(head) as temporary, temporary.open("wb") as to:
            to.writelines(itertools.islice(file, MOST_LINES))
    return head


def _generate(name: str, work: Path, budget: str, report: Reporter) -> Path:
    file = work / "raw" / f"{name}.tsv.gz"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        generate("criteo", PLANTED_ROWS[budget], 0, str(file), progress=report)
    return file


def _find_all(names: str, root: Path) -> str:
    """Return the files of one split joined by commas; empty where one is missing."""
    files = [_find_one(name, root) for name in names.split(",")]
    return ",".join(map(str, files)) if all(files) else ""


def _find_one(name: str, root: Path) -> Path | None:
    for ending in ("", ".gz"):
        file = root / (name + ending)
        if file.is_file():
            return file
    return None
