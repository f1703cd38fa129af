"""What results were measured with, kept beside them: asv records Python alone.

`python -m rafm_bench.bench.libraries`, by the interpreter that has measured, adds it to
the folder of the results that were written last.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A line of JSON a record, the last one of a commit counts. Its name does not end in
# .json: asv takes every such file for results.
LIBRARIES = "libraries.jsonl"
KNOWN_TO_ASV = ("platform", "processor", "cores")


def record(folder: Path, commit: str, facts: dict[str, str]) -> None:
    """Add what a commit was measured with to a machine's folder of results.

    Parameters
    ----------
    folder : Path
    commit : str                      its whole hash
    facts : dict                      of names to versions, as `versions.versions` gives
    """
    with (folder / LIBRARIES).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"measured": commit, **facts}) + "\n")


def recorded(folder: Path, commit: str) -> dict[str, str]:
    """Return what was recorded last of a commit; {} where nothing was."""
    file = folder / LIBRARIES
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    found: dict[str, str] = {}
    for one in map(json.loads, lines):
        if one.pop("measured") == commit:
            found = one
    return found


def main() -> None:
    """Record this environment for the results that were written last."""
    from rafm_bench.bench.environments import repository
    from rafm_bench.bench.results import newest_file
    from rafm_bench.versions import versions

    file = newest_file(repository())
    commit = json.loads(file.read_text(encoding="utf-8"))["commit_hash"]
    facts = {n: v for n, v in versions().items() if n not in KNOWN_TO_ASV}
    tree = facts.pop("commit", "")
    if tree.endswith("-dirty"):  # else it is the commit that the results are of
        facts["tree"] = tree
    record(file.parent, commit, facts)


if __name__ == "__main__":
    main()
