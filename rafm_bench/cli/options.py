"""Flags that subcommands share; those of TrainConfig are made from its fields."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

import click

from rafm_bench import checks
from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.execution import Execution
from rafm_bench.options import check_value

if TYPE_CHECKING:
    from collections.abc import Callable

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."
)

model_format_option = click.option(
    "--format",
    "form",
    metavar="npz|safetensors|libfm",
    type=click.Choice(["npz", "safetensors", "libfm"]),
    help="How the model is written [default: the file's suffix]",
)


class Checked(click.ParamType[Any]):
    """Passes the text of a flag through its option's own check."""

    def __init__(self, option: Field[Any]) -> None:
        """Take check and form from the field."""
        self.option = option
        self.name = option.metadata["form"]

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the value as the field types it."""
        return check_value(self.option, value, flag(self.option.name))


class NumbersOf(click.ParamType[Any]):
    """Numbers with commas between."""

    name = "numbers"

    def __init__(self, kind: type = float) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the numbers as a tuple."""
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            what = "whole numbers" if self.kind is int else "numbers"
            self.fail(f"must be {what} with commas between, got {value!r}", param)


class LeastCounts(click.ParamType[Any]):
    """A count for all fields, counts of single fields, or both: 5,C1=10."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return counts by field; that of all fields has the name None."""
        counts: dict[str | None, int] = {}
        for part in value.split(","):
            name, equals, number = part.rpartition("=")
            if not re.fullmatch(r"[0-9]{1,18}", number) or bool(equals) != bool(name):
                self.fail(f"must be like 5, or 5,C1=10, got {value!r}", param)
            counts[name or None] = int(number)
        return counts


class DataFolder(click.ParamType[Any]):
    """A local folder, or an address such as s3://bucket/data."""

    name = "folder"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the place."""
        from rafm_datasets import locate

        return locate(value)


class SizeInBytes(click.ParamType[Any]):
    """A number of bytes such as 500MB or 2GiB."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the bytes."""
        try:
            return checks.size(value)
        except UserError as error:
            self.fail(str(error), param)


def config_options(*names: str) -> Callable[[Any], Any]:
    """Make the decorator that adds the flags of TrainConfig, or the named ones only.

    A flag that is not given arrives as None.
    """
    known = fields(TrainConfig)
    return _flags_of([one for one in known if not names or one.name in names])


def execution_options(*names: str) -> Callable[[Any], Any]:
    """Make the decorator that adds the flags of Execution, as `config_options` does."""
    known = fields(Execution)
    return _flags_of([one for one in known if not names or one.name in names])


def _flags_of(chosen: list[Field[Any]]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(chosen):
            function = click.option(
                flag(option.name),
                type=Checked(option),
                metavar=option.metadata["form"],
                help=_help(option),
            )(function)
        return function

    return decorate


def execution_of(flags: dict[str, Any]) -> Execution:
    """Take the flags of Execution out of those that were given."""
    names = {one.name for one in fields(Execution)}
    return Execution(**{name: flags.pop(name) for name in names & set(flags)})


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Keep the flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


def flag(name: str) -> str:
    """Return the flag of an option."""
    return "--" + name.replace("_", "-")


def _help(option: Field[Any]) -> str:
    text: str = option.metadata["help"]
    if option.default in (None, ()):
        return text
    return f"{text.rstrip('.')} [default: {option.default}]"
