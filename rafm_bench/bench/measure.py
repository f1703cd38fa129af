"""Processes of two commits take turns, sample by sample, pair by pair."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.bench.processes import BenchmarkError, Process, measuring
from rafm_bench.bench.verdicts import never_varies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rafm_bench.bench.environments import Environment
    from rafm_bench.progress import Reporter

# Of one benchmark, commit and pair, but for at least `samples` of them. Processes
# differ more than the samples of one do (where memory lies, what caches hold), so that
# many pairs of few samples tell more in the same time than the other way round.
SECONDS_OF_SAMPLES = 0.1
MOST_SAMPLES = 25
SLOW = 1.0  # seconds from which on the first sample of a process is its only one
# Of memory, in processes of their own: half of the pairs, but not below this. Among a
# hundred benchmarks, four pairs would leave an interval of a tenth at a jitter of 1 %.
PAIRS_OF_MEMORY = 8
PAIRS_OF_SAME = 3  # of a tracked number for as long as it never varies
COMPILING = 4  # times a benchmark's timeout for its first run, which may compile
SKIPPED = "skipped"


class Benchmark(NamedTuple):
    """A benchmark with one choice of parameters; timeouts in seconds, as asv's."""

    name: str
    label: str
    params: tuple[str, ...]
    kind: str
    unit: str
    timeout: float
    cache_timeout: float

    @property
    def is_memory(self) -> bool:
        """Whether it counts bytes: of its own process, or of what it starts."""
        return self.unit == "bytes"


class Turns:
    """The samples of BASE and HEAD, and what went wrong, as they come in.

    `pairs` has for each benchmark the samples of both by pair; `errors` has for each
    that could not run a text by side, 0 for BASE and 1 for HEAD.
    """

    def __init__(
        self,
        environments: tuple[Environment, Environment],
        suite: Path,
        chosen: Sequence[Benchmark],
        report: Reporter,
    ) -> None:
        """Measure nothing yet."""
        self.environments = environments
        self.suite = suite
        self.chosen = chosen
        self.report = report
        self.pairs: dict[str, list[tuple[list[float], list[float]]]] = {}
        self.errors: dict[str, dict[int, str]] = {}
        self._seconds: dict[str, float] = {}

    def take(self, n_pairs: int, least_samples: int) -> None:
        """Warm both up, then measure all benchmarks by pairs of fresh processes."""
        for environment in self.environments:
            self._warm_up(environment)
        for pair in range(n_pairs):
            self._take_pair(pair, n_pairs, least_samples)
            if pair == 0:
                self.report.say(self._estimate(n_pairs))

    def _warm_up(self, environment: Environment) -> None:
        """Build what suites keep, and run each benchmark once: compiled code is kept.

        Also what failed at BASE is run at HEAD: where it fails too, HEAD is no worse.
        """
        stage = f"warming {environment.name} up"
        with measuring(environment, self.suite) as process:
            for done, one in enumerate(map(_with_patience, self.chosen)):
                self.report(stage, done, len(self.chosen), "benchmarks")
                try:
                    process.ask("cache", one.name, timeout=one.cache_timeout)
                    with _opened(process, one):
                        process.ask("sample", timeout=one.timeout)
                except BenchmarkError as error:
                    self._note(one, error)

    def _take_pair(self, pair: int, n_pairs: int, least_samples: int) -> None:
        with ExitStack() as stack:
            both = [
                stack.enter_context(measuring(one, self.suite))
                for one in self.environments
            ]
            for done, one in enumerate(self.chosen):
                self.report(
                    f"pair {pair + 1}/{n_pairs}", done, len(self.chosen), "benchmarks"
                )
                if one.name in self.errors or pair >= self._n_pairs(one, n_pairs):
                    continue
                started = time.monotonic()
                try:
                    if one.kind == "peakmemory":
                        found = self._peaks(one)
                    else:
                        found = _turns(both, one, pair, least_samples)
                except BenchmarkError as error:
                    self._note(one, error)
                else:
                    self._keep(one, found)
                self._seconds[one.name] = time.monotonic() - started

    def _peaks(self, one: Benchmark) -> tuple[list[float], list[float]]:
        """Ask processes that have done nothing else: a peak is that of their life."""
        found = []
        for environment in self.environments:
            with measuring(environment, self.suite) as process, _opened(process, one):
                found.append([process.ask("sample", timeout=one.timeout)])
        return found[0], found[1]

    def _n_pairs(self, one: Benchmark, n_pairs: int) -> int:
        if one.is_memory:
            return min(n_pairs, max(PAIRS_OF_MEMORY, math.ceil(n_pairs / 2)))
        same = one.kind != "time" and never_varies(self.pairs.get(one.name, []))
        return min(n_pairs, PAIRS_OF_SAME) if same else n_pairs

    def _keep(self, one: Benchmark, found: tuple[list[float], list[float]]) -> None:
        errors = {
            side: f"its value is {value:g}"
            for side, values in enumerate(found)
            for value in values
            if not math.isfinite(value)
        }
        if not errors and min(map(min, found)) <= 0:
            errors = dict.fromkeys((0, 1), "a value is not above 0: it has no ratio")
        if errors:
            self.errors[one.name] = errors
        else:
            self.pairs.setdefault(one.name, []).append(found)

    def _note(self, one: Benchmark, error: BenchmarkError) -> None:
        side = 0 if error.where is self.environments[0] else 1
        self.errors.setdefault(one.name, {})[side] = str(error)

    def _estimate(self, n_pairs: int) -> str:
        """Tell how long the other pairs take, by the first: there all is compiled."""
        left = sum(
            seconds * (self._n_pairs(one, n_pairs) - 1)
            for one in self.chosen
            if (seconds := self._seconds.get(one.name)) and one.name in self.pairs
        )
        return f"pair 1 of {n_pairs} is done; the others take about {left:,.0f} s"


def _with_patience(one: Benchmark) -> Benchmark:
    return one._replace(
        timeout=COMPILING * one.timeout, cache_timeout=COMPILING * one.cache_timeout
    )


@contextmanager
def _opened(process: Process, one: Benchmark) -> Iterator[None]:
    """Have a benchmark set up for a block; after an error the process starts anew."""
    try:
        runs = process.ask("open", one.name, timeout=one.timeout)
        if runs:
            yield
            process.ask("close", timeout=one.timeout)
    except BenchmarkError:
        process.close()
        raise
    if not runs:
        raise BenchmarkError(process.environment, SKIPPED)


def _turns(
    both: Sequence[Process], one: Benchmark, pair: int, least_samples: int
) -> tuple[list[float], list[float]]:
    """Let both take samples in turns; who begins changes from turn to turn."""
    found: tuple[list[float], list[float]] = ([], [])

    def turn(number: int) -> None:
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            found[side].append(both[side].ask("sample", timeout=one.timeout))

    with _opened(both[0], one), _opened(both[1], one):
        turn(pair)
        if one.kind != "time" or max(map(max, found)) > SLOW:
            return found
        for side in found:
            side.clear()  # the first sample has paid for pages and caches
        started = time.monotonic()
        while len(found[0]) < least_samples or (
            len(found[0]) < MOST_SAMPLES
            and time.monotonic() - started < 2 * SECONDS_OF_SAMPLES
        ):
            turn(pair + len(found[0]))
    return found
