"""A run that is trained straight on, one that was broken off, and signals."""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench import engine, scoring
from rafm_bench.config import TrainConfig
from rafm_bench.errors import Interrupted
from rafm_bench.execution import Execution
from rafm_bench.progress import Silent
from rafm_bench.run import MODEL, PROGRESS, Run
from rafm_bench.train import train
from rafm_datasets import PreparedData, open_prepared
from tests.rafm_bench.conftest import prepare_libfm

if TYPE_CHECKING:
    from pathlib import Path


CONFIG_OF_ALL = TrainConfig(
    ranks=(2, 4),
    epochs=4,
    patience=2,
    batch_size=10,
    backend="numpy",
    learning_rate=0.5,
)
OFTEN = Execution(checkpoint_every="1steps")


class Killed(BaseException):
    """Stands for a process that ends where it is."""


class Signals(Silent):
    """Sends this process a signal at one of the reports, from 0."""

    def __init__(self, at: int, number: int = signal.SIGINT) -> None:
        self.left, self.number = at, number
        self.said: list[str] = []

    def __call__(self, stage: str, *_: Any, **__: Any) -> None:
        if stage != "compiling":
            if self.left == 0:
                signal.raise_signal(self.number)
            self.left -= 1

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return open_prepared(prepare_libfm(tmp_path_factory.mktemp("few"), n_rows=500))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_ROWS", 100)
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 25)


@pytest.fixture(scope="module")
def straight(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK_ROWS", 100)
        patch.setattr(scoring, "CHUNK_ROWS", 25)
        out = tmp_path_factory.mktemp("straight") / "run"
        return train(CONFIG_OF_ALL, data, out, Silent())


@pytest.fixture
def broken_off(data: PreparedData, tmp_path: Path) -> Path:
    """Give a run that was interrupted in its second epoch."""
    with pytest.raises(Interrupted):
        train(CONFIG_OF_ALL, data, tmp_path / "run", Signals(8))
    return tmp_path / "run"


def without_seconds(run: Run) -> dict[str, Any]:
    written = asdict(run.result)
    for name in ("compile_seconds", "peak_memory_bytes"):
        del written[name]
    for epoch in written["epochs"]:
        for name in ("seconds", "rows_per_second", "valid_seconds"):
            del epoch[name]
    return written


def assert_as_if_never_stopped(run: Run, straight: Run) -> None:
    assert (run.folder / MODEL).read_bytes() == (straight.folder / MODEL).read_bytes()
    assert without_seconds(run) == without_seconds(straight)
    assert run.config == straight.config
    logs = [(one.folder / PROGRESS).read_text("ascii") for one in (run, straight)]
    rows = [[line.split(",")[1:] for line in log.splitlines()] for log in logs]
    assert rows[0] == rows[1]
    names = [sorted(p.name for p in one.folder.iterdir()) for one in (run, straight)]
    assert names[0] == names[1]
