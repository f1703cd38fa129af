"""What a user waits for before anything happens: imports, help, the first batch."""

import os
import subprocess
import sys
import tempfile

FIRST_BATCH = """
import numpy as np
from rafm_kernels import (
    Batch, Optimizer, init_parameters, init_state, load_backend, make_model,
)
model = make_model("rafm", [2, 1], (4, 8), loss="log")
optimizer = Optimizer("adagrad", 0.05)
state = init_state(model, optimizer, init_parameters(model, 0))
ids, labels = np.arange(2, dtype=np.int32), np.ones(1, np.float32)
batch = Batch(np.array([0, 2]), ids, None, None, labels)
load_backend("numba").train(model, state, optimizer, batch, 1)
"""
IMPORTS = ["rafm_bench", "rafm_kernels", "rafm_datasets"]


def _python(*words, **variables):
    subprocess.run([sys.executable, *words], check=True, env=os.environ | variables)


class Import:
    params = [IMPORTS]
    param_names = ["package"]
    number = 1

    def time_import(self, package):
        _python("-c", f"import {package}")


class Help:
    number = 1

    def setup(self):
        _python("-m", "rafm_bench", "--version")

    def time_help(self):
        subprocess.run(
            [sys.executable, "-m", "rafm_bench", "--help"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


class FirstBatch:
    """A process that trains one batch: with what was compiled before, and without."""

    number = 1
    repeat = 3
    warmup_time = 0
    timeout = 600

    def setup(self):
        _python("-c", FIRST_BATCH)

    def time_warm_cache(self):
        _python("-c", FIRST_BATCH)

    def time_empty_cache(self):
        with tempfile.TemporaryDirectory() as folder:
            _python("-c", FIRST_BATCH, NUMBA_CACHE_DIR=folder)
