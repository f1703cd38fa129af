"""Peak memory of a run is that run's own."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rafm_bench.memory import forget_peak_memory, peak_memory_bytes

SIZE = 200 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
def test_a_peak_is_seen_and_forgotten() -> None:
    before = peak_memory_bytes()
    held = np.ones(SIZE, dtype=np.uint8)
    peak = peak_memory_bytes()
    del held
    forget_peak_memory()
    assert peak - before > SIZE / 2
    assert peak - peak_memory_bytes() > SIZE / 2
