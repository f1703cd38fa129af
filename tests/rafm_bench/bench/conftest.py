"""Two commits as `build` leaves them, without git and pip: a suite, a library each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rafm_bench.bench import compare, measure
from rafm_bench.bench.environments import Environment

if TYPE_CHECKING:
    from pathlib import Path

# Times are of a clock that the benchmarks move: nothing here depends on the machine.
SUITE = """
import gc
import os
import random
import time

import __main__
import planted

now = 0.0
time.perf_counter = lambda: now
__main__._waiting = lambda: 0.0

def work(seconds):
    global now
    assert not gc.isenabled()
    now += seconds * random.uniform(1, 1.001)

class Work:
    params = [["same", "planted"]]
    param_names = ["which"]
    number = 2

    def setup_cache(self):
        return 0.004

    def time_work(self, seconds, which):
        work(seconds * (planted.FACTOR if which == "planted" else 1))

class Memory:
    def peakmem_planted(self):
        self.kept = bytearray(planted.MIB << 20)
        self.kept[::4096] = b"x" * len(self.kept[::4096])

    def track_tree(self):
        return (2000 + planted.MIB) * random.uniform(1, 1.001) * 2**20

    track_tree.unit = "bytes"

class Track:
    def track_loss(self):
        return 0.4 + planted.FACTOR / 1000

    def track_same(self):
        return 0.4

    def track_not_finite_at_new(self):
        return float("nan") if planted.FACTOR > 1 else 0.4

class Broken:
    timeout = 30

    def _only_at(self, factor):
        if planted.FACTOR == factor:
            raise RuntimeError("it broke")
        return 1

    def track_new(self):
        return self._only_at(3)

    def track_old(self):
        return self._only_at(1)

    def track_both(self):
        raise RuntimeError("it broke")

    def track_dying(self):
        if planted.FACTOR > 1:
            os._exit(7)
        return 1

    def track_skipped(self):
        pass

    track_skipped.setup = lambda: skip()

class Hanging:
    timeout = 1

    def track_hanging(self):
        if planted.FACTOR > 1:
            time.sleep(60)
        return 1

def skip():
    raise NotImplementedError
"""


def make_commit(folder: Path, name: str, factor: float, mib: int) -> Environment:
    made = Environment(name, name * 10, folder / name)
    (made.source / "benchmarks").mkdir(parents=True)
    (made.source / "benchmarks" / "__init__.py").touch()
    (made.source / "benchmarks" / "suite.py").write_text(SUITE)
    library = made.folder / "library"
    library.mkdir()
    (library / "planted.py").write_text(f"FACTOR, MIB = {factor}, {mib}\n")
    made.python.parent.mkdir(parents=True)
    made.python.write_text(
        f'#!/bin/sh\nPYTHONPATH="{library}" exec "{sys.executable}" "$@"\n'
    )
    made.python.chmod(0o755)
    return made


@pytest.fixture
def two_commits(tmp_path, monkeypatch):
    made = {
        "old": make_commit(tmp_path, "old", 1, 1),
        "new": make_commit(tmp_path, "new", 3, 101),
    }
    monkeypatch.setattr(compare, "repository", lambda: tmp_path)
    monkeypatch.setattr(measure, "SECONDS_OF_SAMPLES", 0)
    monkeypatch.setattr(compare, "uncommitted", lambda _: [])
    monkeypatch.setattr(compare, "commit_of", lambda _, name: name)
    monkeypatch.setattr(compare, "build", lambda _, name, *rest: made[name])
    return made
