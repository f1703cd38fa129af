"""What a report is made of, before it is written as Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rafm_bench.report import Picture
    from rafm_bench.reproduce.verdicts import Verdict


class Beside(NamedTuple):
    """A figure of ours, and what the paper prints for it; empty where it does not."""

    ours: str
    printed: str

    def __str__(self) -> str:
        """Write the paper's in brackets."""
        return f"{self.ours} ({self.printed})" if self.printed else self.ours


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first `n_words` columns are words, the others figures."""

    header: list[str]
    rows: list[list[str | Beside]]
    n_words: int = 2


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    title: str
    lead: str = ""
    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def short_number(value: float) -> str:
    """Write the value of an option as people type it: 0.1, 1e-5."""
    return f"{value:g}".replace("e-0", "e-")
