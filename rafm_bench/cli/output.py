"""How results reach stdout: as JSON alone, or as text for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

PIPE_WIDTH = 120


def show(result: object, as_json: bool, render: Callable[[Console], None]) -> None:
    """Print a result: as JSON when asked for, else by `render`."""
    if as_json:
        click.echo(json.dumps(result, indent=2, allow_nan=False))
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    render(Console(width=width, highlight=False, emoji=False))
