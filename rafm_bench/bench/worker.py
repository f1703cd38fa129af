"""One process that runs benchmarks when told: a line of JSON in, a line of JSON out.

It is run as a file by the interpreter of the commit that is measured, which may not
have this package; it needs asv_runner alone. The suite is that of the newer commit.

Requests: ["list"], ["versions", DISTRIBUTIONS], ["cache", NAME], ["open", NAME],
["sample"], ["close"]; NAME is as asv has it, `models.Train.time_train-3` with the
number of the parameters. An answer is {"value": ...} or {"error": "..."}.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import math
import os
import pickle
import platform
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# Share of a benchmark's time that threads and processes beside its own may work, and it
# still counts as the work of one thread: what that may be wrong by is no more.
ALONE = 0.01
TIMEOUT = 60.0  # seconds, asv's own default


class Session:
    """The benchmark that is open, and what `setup_cache` gave to its suite."""

    def __init__(self, suite: str) -> None:
        from asv_runner._aux import update_sys_path

        update_sys_path(suite)
        self.suite = suite
        self.open_: Any = None

    def list(self) -> list[dict[str, Any]]:
        """Describe each benchmark with each of its parameters."""
        from asv_runner.discovery import disc_benchmarks

        found = []
        for benchmark in disc_benchmarks(self.suite):
            combinations = list(itertools.product(*benchmark.params))
            for number, values in enumerate(combinations):
                suffix = f"-{number}" if benchmark.params else ""
                found.append(
                    {
                        "name": benchmark.name + suffix,
                        "label": benchmark.name,
                        "params": [value.strip("'") for value in values],
                        "kind": benchmark.type,
                        "unit": benchmark.unit,
                        "timeout": benchmark.timeout or TIMEOUT,
                        "cache_timeout": benchmark.setup_cache_timeout
                        or benchmark.timeout
                        or TIMEOUT,
                    }
                )
        return found

    def versions(self, distributions: Sequence[str]) -> dict[str, str]:
        """Return the version of each distribution that is installed here."""
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": platform.python_version()}
        for name in distributions:
            with contextlib.suppress(PackageNotFoundError):
                found[name] = version(name)
        return found

    def cache(self, name: str) -> None:
        """Build what `setup_cache` of a benchmark's suite gives, once a commit."""
        benchmark = self._found(name)
        kept = self._kept(benchmark)
        if kept is not None and not kept.exists():
            made = pickle.dumps(benchmark.do_setup_cache())
            beside = kept.with_suffix(".tmp")
            beside.write_bytes(made)
            beside.replace(kept)

    def open(self, name: str) -> bool:
        """Set a benchmark up; whether it can run."""
        benchmark = self._found(name)
        kept = self._kept(benchmark)
        benchmark.set_cache(None if kept is None else pickle.loads(kept.read_bytes()))
        if benchmark.do_setup():  # asv_runner's way to say that it was skipped
            return False
        benchmark._redo_setup_next = False
        self.open_ = benchmark
        gc.collect()
        gc.freeze()  # so that a collection before each sample has little to look at
        return True

    def sample(self) -> float:
        """Run once: seconds of a time, bytes of a peak, the number that is tracked.

        Of a time: the mean of its `number` calls, each after a setup (one call where
        that is left to asv).
        """
        benchmark = self.open_
        if benchmark.type == "time":
            number = max(1, int(benchmark.number))
            return math.fsum(_seconds(benchmark) for _ in range(number)) / number
        benchmark.redo_setup()
        value = benchmark.func(*benchmark._build_params())
        if benchmark.type == "peakmemory":
            return float(_peak_bytes())
        return math.nan if value is None else float(value)

    def close(self) -> None:
        """Tear the open benchmark down."""
        benchmark, self.open_ = self.open_, None
        gc.unfreeze()
        benchmark.do_teardown()

    def _found(self, name: str) -> Any:
        from asv_runner.discovery import get_benchmark_from_name

        return get_benchmark_from_name(self.suite, name)

    def _kept(self, benchmark: Any) -> Path | None:
        key = benchmark.setup_cache_key
        return None if key is None else Path(f"{key.replace(':', '-')}.pickle")


def _seconds(benchmark: Any) -> float:
    """Time one call without the garbage collector, as asv does.

    Seconds are of the wall clock; where one thread does the work, without those in
    which other programs had its core.
    """
    benchmark.redo_setup()
    params = benchmark._build_params()
    gc.collect()
    gc.disable()
    try:
        before = read_clocks()
        started = time.perf_counter()
        benchmark.func(*params)
        seconds = time.perf_counter() - started
        return undisturbed(seconds, before, read_clocks())
    finally:
        gc.enable()


class Clocks(NamedTuple):
    """Seconds until now, of work and of waiting for a core."""

    own: float  # work of this thread
    all: float  # of all threads, and of processes that were started here and ended
    waiting: float  # of this thread, ready to run but without a core; 0 if unknown


def read_clocks() -> Clocks:
    """Read the clocks of the thread that calls.

    Those of the process count threads that ended too, as the helpers of a pool have
    before their caller goes on.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = time.process_time() + children.ru_utime + children.ru_stime
    return Clocks(time.thread_time(), work, _waiting())


def _waiting() -> float:
    """Return for how long this thread was kept from a core; 0 where nothing tells."""
    schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    try:
        return int(schedule.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def undisturbed(seconds: float, before: Clocks, after: Clocks) -> float:
    """Return `seconds` of the wall clock less those in which others had the core.

    Only where this thread alone has worked: threads and processes of a benchmark keep
    each other waiting, which is its own time. Clocks are read a little before the time
    begins and after it ends: a wait in between is not within `seconds`, so that what
    is left is at least this thread's work.
    """
    own, work, waiting = (end - start for start, end in zip(before, after, strict=True))
    if work - own > ALONE * seconds:
        return seconds
    return max(seconds - waiting, min(own, seconds))


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Answer requests until there are no more."""
    # What a benchmark prints goes to stderr: stdout is for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = Session(sys.argv[1])
    for line in sys.stdin:
        verb, *words = json.loads(line)
        try:
            answer = {"value": getattr(session, verb)(*words)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
