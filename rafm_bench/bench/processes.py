"""The measuring process of a commit, seen from here."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.bench import worker
from rafm_bench.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rafm_bench.bench.environments import Environment


class BenchmarkError(Exception):
    """A benchmark that cannot run at a commit, with what it said."""


class Process:
    """A process of `worker.py` under a commit's own interpreter."""

    def __init__(self, environment: Environment, suite: Path) -> None:
        environment.scratch.mkdir(exist_ok=True)
        self._name = environment.name
        self._child = subprocess.Popen(
            [environment.python, "-P", Path(worker.__file__).resolve(), suite],
            cwd=environment.scratch,
            env=_own_packages_only(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, *request: Any) -> Any:
        """Return the answer to a request; BenchmarkError when it went wrong there."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RunError(
                f"the process that measures {self._name} ended with code "
                f"{self._child.wait()} at {' '.join(map(str, request))}; run that "
                "benchmark by asv to see why"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.wait()
        self._child.stdout.close()


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
