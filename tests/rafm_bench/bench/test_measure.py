"""Turns of two processes: who is asked for what, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from rafm_bench.bench import measure
from rafm_bench.bench.environments import Environment
from rafm_bench.bench.measure import Benchmark, Turns
from rafm_bench.bench.processes import BenchmarkError, Process
from rafm_bench.progress import Silent


def benchmark(kind="time", unit="seconds"):
    return Benchmark("suite.it-0", "suite.it", ("a",), kind, unit, 60.0, 60.0)


def commit(name):
    return Environment(name, name, Path(name))


class Stub(Process):
    """A process that writes down what it was asked for, and gives samples."""

    def __init__(self, name, asked, *samples):
        super().__init__(commit(name), Path())
        self.asked = asked
        self.samples = iter(samples)

    def ask(self, *request, timeout=0.0):
        self.asked.append(f"{self.environment.name} {request[0]}")
        if request[0] != "sample":
            return True
        found = next(self.samples)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self, patience=0.0):
        self.asked.append(f"{self.environment.name} ends")


@pytest.fixture(autouse=True)
def no_more_samples_than_told(monkeypatch):
    monkeypatch.setattr(measure, "SECONDS_OF_SAMPLES", 0)


def test_turns_change_and_the_first_sample_is_for_caches():
    asked: list[str] = []
    both = Stub("A", asked, 0.9, 0.1, 0.2), Stub("B", asked, 0.8, 0.3, 0.4)
    assert measure._turns(both, benchmark(), 0, 2) == ([0.1, 0.2], [0.3, 0.4])
    assert "".join(one[0] for one in asked if one.endswith("sample")) == "ABABBA"


def test_the_other_one_begins_the_next_pair():
    asked: list[str] = []
    both = Stub("A", asked, 0.9, 0.1), Stub("B", asked, 0.8, 0.3)
    measure._turns(both, benchmark(), 1, 1)
    assert "".join(one[0] for one in asked if one.endswith("sample")) == "BABA"


def test_a_slow_benchmark_has_one_sample_a_pair():
    both = Stub("A", [], 0.9), Stub("B", [], 1.1)
    assert measure._turns(both, benchmark(), 0, 5) == ([0.9], [1.1])


def test_a_tracked_number_has_one_sample_a_pair():
    both = Stub("A", [], 0.3), Stub("B", [], 0.4)
    assert measure._turns(both, benchmark("track"), 0, 5) == ([0.3], [0.4])


def test_after_an_error_both_processes_start_anew():
    asked: list[str] = []
    both = (
        Stub("A", asked, 0.3),
        Stub("B", asked, BenchmarkError(commit("B"), "it broke")),
    )
    with pytest.raises(BenchmarkError, match="it broke"):
        measure._turns(both, benchmark(), 0, 5)
    assert asked[-2:] == ["B ends", "A ends"]


def test_a_benchmark_that_is_skipped_is_not_sampled(monkeypatch):
    stub = Stub("A", [])
    monkeypatch.setattr(stub, "ask", lambda *_, timeout: False)
    with pytest.raises(BenchmarkError, match="skipped"):
        measure._turns((stub, stub), benchmark(), 0, 5)


@pytest.mark.parametrize(
    ("one", "pairs", "expected"),
    [
        (benchmark(), 16, 16),
        (benchmark("peakmemory", "bytes"), 16, 8),
        (benchmark("peakmemory", "bytes"), 40, 20),
        (benchmark("track", "bytes"), 4, 4),
    ],
)
def test_memory_takes_half_of_the_pairs_but_eight_if_there_are(one, pairs, expected):
    assert turns(one)._n_pairs(one, pairs) == expected


def turns(one):
    return Turns((commit("old"), commit("new")), Path(), [one], Silent())


def test_a_tracked_number_takes_all_pairs_once_it_varies():
    one = benchmark("track", "unit")
    made = turns(one)
    made.pairs[one.name] = [([1.0], [2.0])] * 3
    assert made._n_pairs(one, 16) == 3
    made.pairs[one.name].append(([1.0], [2.1]))
    assert made._n_pairs(one, 16) == 16


def test_a_process_that_was_killed_starts_anew(two_commits):
    old = two_commits["old"]
    process = Process(old, old.source / "benchmarks")
    try:
        assert process.ask("cache", "suite.Work.time_work-0") is None
        with pytest.raises(BenchmarkError, match="no answer within 0 s"):
            process.ask("open", "suite.Work.time_work-0", timeout=0)
        assert process.ask("open", "suite.Work.time_work-0")
        assert process.ask("sample") == pytest.approx(0.004, rel=0.01)
        assert process.ask("close") is None
    finally:
        process.close()


def test_a_peak_is_of_the_process(two_commits):
    peaks = {}
    for name, commit in two_commits.items():
        process = Process(commit, commit.source / "benchmarks")
        process.ask("open", "suite.Memory.peakmem_planted")
        peaks[name] = process.ask("sample")
        process.close()
    assert 50 << 20 < peaks["new"] - peaks["old"] < 150 << 20
