"""Figures of a staged chunk, kept as JSON beside its work files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """One field of a chunk: distinct values, missing entries, entries; by split."""

    n_values: int
    nulls: tuple[int, ...]
    null_label_sum: float
    entries: tuple[int, ...]
    unit: bool
    multi: bool


@dataclass(frozen=True, slots=True)
class ChunkStats:
    """What the later passes must know of a staged chunk."""

    number: int
    rows: tuple[int, ...]
    label_sums: tuple[float, ...]
    zero_one: bool
    plus_minus: bool
    last_numbers: tuple[int, ...]
    refused: int
    columns: dict[str, ColumnStats]


def load_stats(path: Path) -> ChunkStats:
    """Read back what `stage_chunk` returned, from its `.json`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    columns = {
        name: ColumnStats(
            **{
                **item,
                "nulls": tuple(item["nulls"]),
                "entries": tuple(item["entries"]),
            }
        )
        for name, item in content.pop("columns").items()
    }
    for name in ("rows", "label_sums", "last_numbers"):
        content[name] = tuple(content[name])
    return ChunkStats(columns=columns, **content)
