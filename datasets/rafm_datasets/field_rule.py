"""`FieldRule`: how one column of a user's own table becomes a field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from rafm_datasets.errors import DataError

Kind = Literal["categorical", "numeric", "multi"]
KINDS = ("categorical", "numeric", "multi")
_KIND_OF_KEY = {
    "width": "numeric",
    "edges": "numeric",
    "separator": "multi",
    "value_separator": "multi",
}
_KEYS = ("kind", *_KIND_OF_KEY, "min_count")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One value as it stands, a number in a bucket, or several values.

    Buckets of numbers are `edges`, of one `width`, or else floor(log(x)^2) above 2, as
    is usual for Criteo. A multi field is cut at `separator`; a value may be followed by
    `value_separator` and a weight.
    """

    kind: Kind = "categorical"
    width: float | None = None
    edges: tuple[float, ...] = ()
    separator: str | None = None
    value_separator: str | None = None
    min_count: int | None = None


def make_rule(content: Any, name: str, place: str) -> FieldRule:
    """Make the rule of a field from plain values.

    Parameters
    ----------
    content : str or dict              a kind, or keys; an empty dict is "categorical"
    name : str                         of the field, for messages
    place : str                        where it is from, for messages

    Returns
    -------
    FieldRule

    Raises
    ------
    DataError                          a key or value that is wrong
    """
    where = f"{place}: field {name}"
    if isinstance(content, str):
        content = {"kind": content}
    if not isinstance(content, dict):
        raise DataError(
            f"{where} must be one of {', '.join(KINDS)}, or keys in braces, got "
            f'{content!r}; write {name} = "categorical"'
        )
    for key in content:
        if key not in _KEYS:
            known = get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {known[0]}?" if known else "leave it out"
            raise DataError(
                f"{where} has an unknown key {key}; {hint} (known are "
                f"{', '.join(_KEYS)})"
            )
    implied = {_KIND_OF_KEY[key] for key in content if key in _KIND_OF_KEY}
    kind = content.get("kind", min(implied, default="categorical"))
    if kind not in KINDS:
        raise DataError(
            f"{where}: kind must be one of {', '.join(KINDS)}, got {kind!r}"
        )
    for key in content:
        if _KIND_OF_KEY.get(key, kind) != kind:
            raise DataError(
                f"{where} is {kind}, which has no {key}; leave it out, or make the "
                f"field {_KIND_OF_KEY[key]}"
            )
    return FieldRule(**{**_values(content, where), "kind": kind})


def rule_content(rule: FieldRule) -> str | dict[str, Any]:
    """Give the plain values that `make_rule` makes this rule from."""
    whole = {
        key: list(value) if isinstance(value, tuple) else value
        for key in _KEYS
        if (value := getattr(rule, key)) not in (None, ())
    }
    return rule.kind if len(whole) == 1 else whole


def _values(content: dict[str, Any], where: str) -> dict[str, Any]:
    found = dict(content)
    if "width" in found and not (_is_number(found["width"]) and found["width"] > 0):
        raise _wrong(where, "width", found["width"], "a number above 0")
    if "edges" in found:
        edges = found["edges"]
        listed = isinstance(edges, list) and bool(edges) and all(map(_is_number, edges))
        if not listed or sorted(set(edges)) != edges:
            raise _wrong(where, "edges", edges, "a list of rising numbers")
        found["edges"] = tuple(float(edge) for edge in edges)
    if "width" in found and "edges" in found:
        raise DataError(f"{where} has both width and edges; keep one")
    for key in ("separator", "value_separator"):
        if key in found and not (isinstance(found[key], str) and found[key]):
            raise _wrong(where, key, found[key], "a text")
    is_multi = found.get("kind") == "multi" or "value_separator" in found
    if is_multi and "separator" not in found:
        raise DataError(
            f'{where} is multi without a separator; write {{ separator = "|" }}'
        )
    least = found.get("min_count", 1)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise _wrong(where, "min_count", least, "a whole number of 1 or more")
    return found


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _wrong(where: str, key: str, value: Any, wanted: str) -> DataError:
    return DataError(f"{where}: {key} must be {wanted}, got {value!r}")
