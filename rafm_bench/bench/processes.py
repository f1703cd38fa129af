"""The measuring process of a commit, seen from here."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.bench import worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_bench.bench.environments import Environment

TIMEOUT = 300.0  # seconds for an answer that no benchmark takes part in
SECONDS_TO_END = 5.0  # for a process that has nothing more to do


class BenchmarkError(Exception):
    """A benchmark that cannot run at a commit, with what it said."""

    def __init__(self, where: Environment, what: str) -> None:
        """Take the commit, and what went wrong there."""
        super().__init__(what)
        self.where = where


class Process:
    """A process of `worker.py` under a commit's own interpreter.

    It starts when it is first asked, and anew when it is asked after it has ended.
    """

    def __init__(self, environment: Environment, suite: Path) -> None:
        self.environment = environment
        self._suite = suite
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def ask(self, *request: Any, timeout: float = TIMEOUT) -> Any:
        """Return the answer to a request.

        Raises
        ------
        BenchmarkError                    it went wrong there, the process died of it,
                                          or there is no answer within `timeout` seconds
        """
        if self._child is None:
            self._child = self._start()
            self.ask("versions", [])  # a start is no part of a benchmark's time
        child = self._child
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
        line = self._line(time.monotonic() + timeout)
        if line is None:
            self.close(patience=0)
            raise BenchmarkError(self.environment, f"no answer within {timeout:g} s")
        if not line:
            self.close()
            raise BenchmarkError(
                self.environment,
                f"its process ended with code {child.returncode} at "
                f"{' '.join(map(str, request))}; run it by asv to see why",
            )
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(self.environment, answer["error"])
        return answer["value"]

    def close(self, patience: float = SECONDS_TO_END) -> None:
        """End the process, if there is one: by force when it takes its time."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdout.close()

    def _start(self) -> subprocess.Popen[bytes]:
        scratch = self.environment.scratch
        scratch.mkdir(exist_ok=True)
        self._unread = b""
        return subprocess.Popen(
            [
                self.environment.python,
                "-P",
                Path(worker.__file__).resolve(),
                self._suite,
            ],
            cwd=scratch,
            env=_own_packages_only(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that what a benchmark starts ends with it
        )

    def _line(self, deadline: float) -> bytes | None:
        """Return the next line, b"" where there is no more, None after the deadline."""
        assert self._child is not None
        assert self._child.stdout is not None
        pipe = self._child.stdout.fileno()
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            read = os.read(pipe, 1 << 16)
            if not read:
                return b""
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def _own_packages_only() -> dict[str, str]:
    """Return the environment without a path that would hide the commit's packages."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}


@contextmanager
def measuring(environment: Environment, suite: Path) -> Iterator[Process]:
    """Give a measuring process for the time of a block."""
    process = Process(environment, suite)
    try:
        yield process
    finally:
        process.close()
