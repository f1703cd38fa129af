"""`TableDescription`: what the columns of a user's own table mean, from a TOML file.

A file of one line, ``label = "clicked"``, describes a table: all its other columns are
categories then.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rafm_datasets.errors import DataError
from rafm_datasets.field_rule import FieldRule, make_rule, rule_content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rafm_datasets.manifest import Task

OTHERS = "*"  # as the name of a field: all columns that are not named
FORMATS = ("csv", "tsv", "parquet")
TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_CATEGORICAL = FieldRule()


@dataclass(frozen=True, slots=True)
class TableDescription:
    """Columns of a table and what they are, one member for each key of the file.

    Labels are numbers, unless the texts that count as 1 (`positive`) are given, and
    perhaps all those that count as 0 (`negative`), or the least number that counts as 1
    (`positive_from`). `columns` names the columns of a file without header; `fields`
    is empty when all columns that are not otherwise used are categories.
    """

    label: str
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    positive_from: float | None = None
    task: Task | None = None
    time: str | None = None
    time_unit: Literal["s", "ms", "us"] = "s"
    format: Literal["csv", "tsv", "parquet"] | None = None
    separator: str | None = None
    quoted: bool | None = None
    columns: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fields: Mapping[str, FieldRule] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether fields are still to be taken from the columns of the table."""
        return not self.fields or OTHERS in self.fields

    def closed(self, columns: tuple[str, ...]) -> TableDescription:
        """Give every column of the table that is not otherwise used its field.

        Parameters
        ----------
        columns : tuple of str         of the table, in its order

        Returns
        -------
        TableDescription               the fields in the order of the columns
        """
        rule = self.fields.get(OTHERS, _CATEGORICAL)
        used = {self.label, self.time, *self.ignore} - set(self.fields)
        named = {name: rule for name in columns if name not in used} | {
            name: own for name, own in self.fields.items() if name != OTHERS
        }
        return replace(self, fields=named, ignore=())

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that a table must have."""
        time = [] if self.time is None else [self.time]
        return tuple(dict.fromkeys([self.label, *time, *self.fields]))

    @property
    def content(self) -> dict[str, Any]:
        """The description as plain JSON values, as `parse_description` takes them."""
        whole: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in _members(self).items()
            if value != _DEFAULTS.get(name)
        }
        if self.fields:
            whole["fields"] = {
                name: rule_content(rule) for name, rule in self.fields.items()
            }
        return whole


def _members(described: TableDescription) -> dict[str, Any]:
    return {name: getattr(described, name) for name in TableDescription.__slots__}


_DEFAULTS = _members(TableDescription(""))


def read_description(path: str | Path) -> TableDescription:
    """Read a description from a TOML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    TableDescription

    Raises
    ------
    DataError                          not there, not TOML, or a key or value that is
                                       wrong
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; give the TOML file that describes "
            "the table"
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise DataError(f"{path} is not TOML: {error}; mend it there") from error
    return parse_description(content, str(path))


def parse_description(
    content: Mapping[str, Any], place: str = "the description"
) -> TableDescription:
    """Make a description of plain values, as TOML or a manifest holds them.

    Parameters
    ----------
    content : mapping
    place : str                        where it is from, for messages

    Returns
    -------
    TableDescription

    Raises
    ------
    DataError                          a key or value that is wrong
    """
    if "label" not in content:
        hint = get_close_matches("label", content, 1)
        instead = f"rename {hint[0]} to label" if hint else 'write label = "clicked"'
        raise DataError(
            f"{place} does not name the label; {instead}, with the name of the column "
            "that is learned"
        )
    members = {
        key: _checked(key, value, place)
        for key, value in content.items()
        if key != "fields"
    }
    rules = content.get("fields", {})
    if not isinstance(rules, dict):
        raise DataError(
            f"{place}: fields must be a table of columns, got {rules!r}; write "
            '[fields] and then user = "categorical", or leave it out for all columns'
        )
    fields = {name: make_rule(rule, name, place) for name, rule in rules.items()}
    described = TableDescription(**members, fields=fields)
    _check_whole(described, place)
    return described


def _checked(key: str, value: Any, place: str) -> Any:
    """Check the type and choice of one value; lists become tuples."""
    if key not in _DEFAULTS:
        known = get_close_matches(key, _DEFAULTS, 1)
        hint = f"did you mean {known[0]}?" if known else "leave it out"
        raise DataError(
            f"{place}: unknown key {key}; {hint} (known are {', '.join(_DEFAULTS)})"
        )
    choices: dict[str, tuple[str, ...]] = {
        "format": FORMATS,
        "time_unit": tuple(TIME_UNITS),
        "task": ("classification", "regression"),
    }
    if key in ("positive", "negative", "columns", "ignore"):
        is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
        if not is_list or not value:
            raise _wrong(place, key, value, 'a list of texts such as ["yes"]')
        return tuple(value)
    if key == "positive_from":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise _wrong(place, key, value, "a number such as 4")
        return float(value)
    if key == "quoted":
        if not isinstance(value, bool):
            raise _wrong(place, key, value, "true or false")
        return value
    if not isinstance(value, str) or not value:
        raise _wrong(place, key, value, "a text")
    if key in choices and value not in choices[key]:
        raise _wrong(place, key, value, f"one of {', '.join(choices[key])}")
    return value


def _wrong(place: str, key: str, value: Any, wanted: str) -> DataError:
    return DataError(f"{place}: {key} must be {wanted}, got {value!r}")


def _check_whole(described: TableDescription, place: str) -> None:
    """Check what no key can be told from alone."""
    separator = described.separator or ","
    problems = {
        "negative lists the texts that count as 0, so positive must list those that "
        "count as 1": described.negative and not described.positive,
        "positive and positive_from both say which labels count as 1; keep one": (
            described.positive and described.positive_from is not None
        ),
        f"label {described.label} is also a field, so it would be learned from itself; "
        "remove the field": described.label in described.fields,
        "label names another column, so no field can be called label (the prepared "
        "data keeps that name); rename that column": (
            "label" in described.fields and described.label != "label"
        ),
        "columns names a column twice; give each its own name": (
            len(set(described.columns)) < len(described.columns)
        ),
        f"separator must be ASCII, without quotes or line ends, got {separator!r}": (
            not separator.isascii() or bool(set(separator) & set('"\r\n'))
        ),
        f"separator {separator!r} is longer than one character, so values cannot be "
        "quoted; leave quoted out": bool(len(separator) > 1 and described.quoted),
    }
    for problem, holds in problems.items():
        if holds:
            raise DataError(f"{place}: {problem}")
