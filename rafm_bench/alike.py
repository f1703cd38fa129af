"""Whether the quality of runs and trials compares: one rule for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.errors import UserError
from rafm_bench.space import JUDGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rafm_bench.store import Row

PLACES = ("data_set", "protocol")
"""Columns of a table of experiments that tell its parts by name."""


def check_alike(found: Sequence[tuple[Path, Row]]) -> None:
    """Check that rows are of the same data and measured alike.

    Parameters
    ----------
    found : the place and row of each run or trial, with the columns data_fingerprint
        and JUDGES; what a row lacks counts as 0

    Raises
    ------
    UserError                         naming the places, or how to filter a table
    """
    first, row = found[0]
    for path, other in found[1:]:
        for name in ("data_fingerprint", *JUDGES):
            pair = [one.get(name) or 0 for one in (row, other)]
            if pair[0] == pair[1]:
                continue
            what = name.partition("_")[0]
            ours, theirs = (f"of {what} {value!s:.12}" for value in pair)
            if path == first:
                only = _difference(row, other, name)
                raise UserError(
                    f"{first} holds trials {ours} and {theirs}: their quality does not "
                    f"compare; choose some, as by --only {only}"
                )
            raise UserError(
                f"{first} is {ours}, {path} {theirs}: their quality does not compare; "
                f"compare what is of the same {what}"
            )


def _difference(row: Row, other: Row, name: str) -> str:
    """Return a column in which two rows differ and its value, as `--only` takes it."""
    telling = (one for one in PLACES if row.get(one) != other.get(one))
    column = next(telling, name)
    return f"{column}={row.get(column)}"
