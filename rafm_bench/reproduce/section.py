"""What a report is made of, before it is written as Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rafm_bench.report import Picture
    from rafm_bench.reproduce.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first two columns are words, the others figures."""

    header: list[str]
    rows: list[list[str]]


class Tally(NamedTuple):
    """How many claims of a part came out how."""

    part: str
    reproduced: int
    not_reproduced: int
    not_testable: int


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    title: str
    lead: str = ""
    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
