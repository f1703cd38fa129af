"""Options as dataclass fields: each with its check, its form and its help text.

Flags and files are read by them, so that a type's fields are the only list of options.
"""

from __future__ import annotations

from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

from rafm_bench import checks
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Check = Callable[[object], object]


def option(check: Check, form: str, help_text: str) -> dict[str, Any]:
    """Make a field's metadata: its check, the form of its value, its help text."""
    return {"check": check, "form": form, "help": help_text}


def choice(known: Sequence[str], help_text: str) -> dict[str, Any]:
    """Make the metadata of a field that holds one of the known words."""
    return option(checks.choice(*known), "|".join(known), help_text)


def check_value(one: Field[Any], value: object, where: str) -> object:
    """Return `value` as the option types it; `where` begins the error's sentence."""
    try:
        return one.metadata["check"](value)
    except UserError as error:
        raise UserError(f"{where} {error}") from None


def check_fields(noun: Any) -> None:
    """Check every field of a frozen dataclass of options, and set it as typed."""
    for one in fields(noun):
        value = check_value(one, getattr(noun, one.name), f"`{one.name}`")
        object.__setattr__(noun, one.name, value)
