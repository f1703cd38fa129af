"""Options of a training run in a file: TOML or JSON in, JSON out."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rafm_bench.config import TrainConfig
from rafm_bench.errors import UserError
from rafm_bench.options import check_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def make_config(file: Path | None, flags: Mapping[str, object]) -> TrainConfig:
    """Make the config of defaults, then the file, then the flags that were given."""
    values = read_config_values(file) if file else {}
    return TrainConfig(**(values | dict(flags)))


def read_config_values(file: Path) -> dict[str, Any]:
    """Read and check the options in a TOML or JSON file (RUN/config.json is one).

    A relative path (`levels`, `init_from`) is relative to the file's own folder.
    """
    written = _parse(file)
    options = {one.name: one for one in fields(TrainConfig)}
    source = file.read_text(encoding="utf-8")
    for key in written:
        if key not in options:
            raise UserError(
                f"{_place(file, source, key)}: unknown option `{key}`; known ones are "
                f"{', '.join(options)}"
            )
    values = {
        key: check_value(options[key], value, f"{_place(file, source, key)}: `{key}`")
        for key, value in written.items()
    }
    for key in ("levels", "init_from"):
        if isinstance(values.get(key), str):
            values[key] = str(file.parent / str(values[key]))
    return values


def config_json(config: TrainConfig) -> str:
    """Return the config as JSON text that `read_config_values` reads back."""
    return json.dumps(asdict(config), indent=2) + "\n"


def _parse(file: Path) -> dict[str, Any]:
    parsers: dict[str, Callable[[str], Any]] = {
        ".toml": tomllib.loads,
        ".json": json.loads,
    }
    if file.suffix not in parsers:
        raise UserError(f"{file}: config files end in .toml or .json; rename it")
    if not file.is_file():
        raise UserError(f"{file}: no such config file; check the path")
    try:
        values = parsers[file.suffix](file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{file}: not valid {file.suffix[1:].upper()}: {error}"
        ) from None
    if not isinstance(values, dict):
        raise UserError(f"{file}: must hold option names and values, not a bare value")
    return values


def _place(file: Path, source: str, key: str) -> str:
    """Name the file, and the line where `key` is written."""
    found = re.search(rf'^[\s{{,]*"?{re.escape(key)}"?\s*[=:]', source, re.MULTILINE)
    if not found:
        return f"{file}"
    line = source.count("\n", 0, source.index(key, found.start())) + 1
    return f"{file}, line {line}"
