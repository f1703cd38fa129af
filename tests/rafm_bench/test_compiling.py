"""Compiling before rows are there, under a memory limit in a process of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from rafm_bench import compiling
from rafm_bench.config import TrainConfig
from rafm_bench.execution import Execution
from rafm_bench.job import make_job
from rafm_bench.progress import Silent


@pytest.fixture
def job(click_data):
    compiling._compile_elsewhere.cache_clear()
    config = TrainConfig(model="fm", ranks=(4,), backend="numpy")
    return make_job(config, click_data, Silent())


def told(job, monkeypatch):
    """Warm a job up; return what other processes were asked to compile."""
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda *_, input, **__: asked.append(input))
    compiling.warm_up(job)
    return asked


def test_under_a_memory_limit_another_process_compiles_first(job, monkeypatch):
    limited = replace(job, execution=Execution(memory_limit=1 << 30))
    (needed,) = told(limited, monkeypatch)
    config = TrainConfig(**json.loads(json.loads(needed)[0]))
    assert config == job.config
    slower = replace(limited, config=replace(job.config, learning_rate=0.01))
    assert told(slower, monkeypatch) == []  # the same code: once is enough


def test_without_a_limit_this_process_compiles(job, monkeypatch):
    assert told(job, monkeypatch) == []


def test_the_other_process_compiles_what_it_is_told(job, monkeypatch):
    limited = replace(job, execution=Execution(memory_limit=1 << 30))
    (needed,) = told(limited, monkeypatch)
    monkeypatch.setattr(sys, "stdin", io.StringIO(needed))
    trained = []
    monkeypatch.setattr(job.backend, "train", lambda *a: trained.append(a))
    compiling.main()
    ((model, *_),) = trained
    assert (model.name, model.layout.rank_dims) == ("fm", (4,))


def test_a_process_that_fails_leaves_it_to_this_one(job, monkeypatch):
    monkeypatch.setattr(compiling, "_CHILD", "raise SystemExit({path!r})")
    limited = replace(job, execution=Execution(memory_limit=1 << 30))
    assert compiling.warm_up(limited) > 0
