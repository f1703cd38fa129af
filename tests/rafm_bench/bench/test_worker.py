"""The process that measures: what it calls the time of a benchmark."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rafm_bench.bench.worker import Clocks, undisturbed


@pytest.mark.parametrize(
    ("spent", "seconds"),
    [
        (Clocks(own=1.0, all=1.0, waiting=0.25), 1.0),
        (Clocks(own=1.0, all=1.005, waiting=0.25), 1.0),
        (Clocks(own=0.5, all=2.0, waiting=0.25), 1.25),
        (Clocks(own=0.0, all=1.0, waiting=0.25), 1.25),
        (Clocks(own=1.0, all=1.0, waiting=0.0), 1.25),
        (Clocks(own=0.75, all=0.75, waiting=1.5), 0.75),
    ],
    ids=[
        "one thread",
        "and a little beside",
        "helpers too",
        "only helpers",
        "unknown",
        "waits before and after",
    ],
)
def test_waiting_for_a_core_is_taken_off_where_one_thread_did_the_work(spent, seconds):
    before = Clocks(20.0, 30.0, 40.0)
    after = Clocks(*map(sum, zip(before, spent, strict=True)))
    assert undisturbed(1.25, before, after) == pytest.approx(seconds)


def work_beside(lines: str) -> float:
    """Return the share of the work that others than the main thread did."""
    code = f"""
import json, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from rafm_bench.bench.worker import read_clocks

def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

before = read_clocks()
{lines}
after = read_clocks()
print(json.dumps(1 - (after.own - before.own) / (after.all - before.all)))
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=-1, check=True)
    return float(json.loads(done.stdout))


def test_the_work_of_one_thread_is_all_of_the_work():
    assert work_beside("work(0.2)") < 0.01


def test_helpers_of_a_pool_that_has_ended_still_count_as_work():
    pool = "with ThreadPoolExecutor(4) as pool: list(pool.map(work, [0.05] * 4))"
    assert work_beside(pool) > 0.9


def test_a_process_that_has_ended_still_counts_as_work():
    assert work_beside("subprocess.run([sys.executable, '-c', 'range(9)'])") > 0.5
