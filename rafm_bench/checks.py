"""Checks of option values: each takes what a flag or file holds, and returns it typed.

Every check raises UserError with the end of a sentence ("must be ..., got ..."): the
caller, who knows where the value came from, puts the beginning before it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeVar

from rafm_bench.errors import UserError
from rafm_kernels import check_rank_dims

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def choice(*known: str) -> Callable[[object], str]:
    """Return the check that a value is one of the known words."""

    def check(value: object) -> str:
        if value not in known:
            raise UserError(f"must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    return check


def whole(at_least: int) -> Callable[[object], int]:
    """Return the check that a value is a whole number, `at_least` or above."""

    def check(value: object) -> int:
        number = _to_int(value)
        if number is None or number < at_least:
            raise UserError(
                f"must be a whole number of at least {at_least}, got {value!r}"
            )
        return number

    return check


def real(
    *, above: float = -math.inf, at_least: float = -math.inf
) -> Callable[[object], float]:
    """Return the check that a value is a finite number within one of the bounds."""
    bound = f"above {above:g}" if above > -math.inf else f"of at least {at_least:g}"

    def check(value: object) -> float:
        number = _to_float(value)
        if not (above < number < math.inf and number >= at_least):
            raise UserError(f"must be a number {bound}, got {value!r}")
        return number

    return check


def text(value: object) -> str:
    """Check that a value is text with something in it."""
    if not isinstance(value, str) or not value:
        raise UserError(f"must be text, got {value!r}")
    return value


def optional(check: Callable[[object], T]) -> Callable[[object], T | None]:
    """Return `check` that lets None (in a flag: the word none) pass as None."""
    return lambda value: None if value in (None, "none") else check(value)


def wholes(at_least: int) -> Callable[[object], tuple[int, ...]]:
    """Return the check of a list of whole numbers; none is the empty list."""

    def check(value: object) -> tuple[int, ...]:
        if value in (None, "none"):
            return ()
        parts = value.split(",") if isinstance(value, str) else value
        listed = parts if isinstance(parts, list | tuple) else [parts]
        return tuple(whole(at_least)(part) for part in listed)

    return check


def size(value: object) -> int:
    """Check a number of bytes: a whole number, or text such as 500MB or 2GiB."""
    found = re.fullmatch(
        r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i)?B?", str(value), re.IGNORECASE
    )
    if not found:
        raise UserError(f"must be a size such as 500MB or 2GiB, got {value!r}")
    number, prefix, binary = found.groups()
    power = " KMGT".index(prefix.upper() or " ")
    n_bytes = int(float(number) * (1024 if binary else 1000) ** power)
    if not n_bytes:
        raise UserError(f"must be a size above 0, got {value!r}")
    return n_bytes


def interval(value: object) -> str:
    """Check a time such as 30s, 5m or 2h, or a number of steps such as 1000steps."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}(s|m|h|steps)", str(value)):
        raise UserError(f"must be like 30s, 5m, 2h or 1000steps, got {value!r}")
    return str(value)


def ranks(value: object) -> tuple[int, ...]:
    """Check a strictly increasing list of ranks; none is the empty list."""
    rank_dims = wholes(1)(value)
    try:
        check_rank_dims(rank_dims)
    except ValueError as error:
        raise UserError(str(error).removeprefix("`rank_dims` ")) from None
    return rank_dims


def _to_int(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan
