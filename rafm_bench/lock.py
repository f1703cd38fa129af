"""Locks between processes: let go by the system when their holder ends, however."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked(file: Path, busy: str = "") -> Iterator[None]:
    """Hold the lock `file`, which is made and stays, and says who holds it.

    Where another process holds it, wait; or, with `busy`, raise UserError of that text,
    in which `{holder}` stands for who that is.
    """
    with file.open("a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read() or "another process"
            raise UserError(busy.replace("{holder}", holder)) from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {socket.gethostname()}")
        handle.flush()
        yield
