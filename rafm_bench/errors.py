"""What can go wrong, by who has to act: the user, the run, or nobody (an interrupt)."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class UserError(ValueError):
    """A mistake of the user's: one sentence that tells what, where and the mend."""


class RunError(RuntimeError):
    """A run that failed though its arguments were sound: one sentence with the mend."""


class Diverged(RunError):
    """Training whose loss or a weight stopped being finite, as it always would."""


class Interrupted(Exception):
    """A stop by Ctrl-C or another signal, with a word on what is left behind."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        """Take the message, and the number of the signal."""
        super().__init__(message)
        self.number = number


@contextmanager
def leaving(what: str) -> Iterator[None]:
    """Take Ctrl-C as Interrupted, with a word on what it leaves behind."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {what}") from None


@contextmanager
def door() -> Iterator[None]:
    """Take a ValueError of a door below, a check of arguments, as a UserError."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error
