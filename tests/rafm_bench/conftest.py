"""Small data sets, prepared once: clicks with planted taste, and ratings."""

from __future__ import annotations

import gzip
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.progress import Silent
from rafm_bench.train import train
from rafm_datasets import PreparedData, PrepareOptions, open_prepared, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.run import Run

N_USERS, N_ITEMS = 60, 90


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """Shells have what they start in the background ignore Ctrl-C, tests included."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def libfm_lines(n_rows: int, seed: int, *, ratings: bool) -> list[str]:
    """Write rows of a user and an item, both Zipf, whose label both of them decide."""
    generator = np.random.default_rng(seed)
    planted = np.random.default_rng(0)
    tastes = planted.normal(size=(N_USERS + N_ITEMS, 3))
    users = np.minimum(generator.zipf(1.3, n_rows), N_USERS) - 1
    items = np.minimum(generator.zipf(1.3, n_rows), N_ITEMS) - 1 + N_USERS
    scores = np.sum(tastes[users] * tastes[items], axis=1)
    if ratings:
        labels = np.clip(np.round(3 + scores), 1, 5)
    else:
        labels = generator.random(n_rows) < 1 / (1 + np.exp(-scores))
    columns = zip(labels, users, items, strict=True)
    return [f"{label:.0f} {user} {item}" for label, user, item in columns]


def prepare_libfm(folder: Path, *, ratings: bool = False, n_rows: int = 4000) -> Path:
    """Write raw files into `folder`, prepare them there, return the data's folder."""
    raw = []
    for seed, (name, share) in enumerate({"train": 8, "valid": 1, "test": 1}.items()):
        lines = libfm_lines(n_rows * share // 10, seed + 1, ratings=ratings)
        file = folder / f"{name}.libfm"
        file.write_text("\n".join(lines) + "\n", encoding="ascii")
        raw.append(str(file))
    out = str(folder / "data")
    return prepare(PrepareOptions("libfm", tuple(raw), out, "given")).folder


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of prepared data with labels 0 and 1."""
    return prepare_libfm(tmp_path_factory.mktemp("clicks"))


@pytest.fixture(scope="session")
def many_groups(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Give clicks in row groups of 256 rows, so that shards are to be had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.schema.GROUP_ROWS", 256)
        folder = prepare_libfm(tmp_path_factory.mktemp("groups"))
    return open_prepared(folder)


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of prepared data with ratings."""
    return prepare_libfm(tmp_path_factory.mktemp("ratings"), ratings=True)


@pytest.fixture(scope="session")
def click_data(clicks: Path) -> PreparedData:
    """Give the clicks, opened."""
    return open_prepared(clicks)


@pytest.fixture(scope="session")
def ratings_data(ratings: Path) -> PreparedData:
    """Give the ratings, opened."""
    return open_prepared(ratings)


@pytest.fixture(scope="session")
def rafm_run(click_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a finished run of RaFM on the clicks."""
    config = TrainConfig(ranks=(2, 8, 16), epochs=4, batch_size=64, seed=3)
    out = tmp_path_factory.mktemp("runs") / "rafm"
    return train(config, click_data, out, Silent())


@pytest.fixture
def raw_ratings(tmp_path: Path) -> Path:
    """Write the ratings of MovieLens latest-small, made up, packed."""
    generator = np.random.default_rng(0)
    pairs = generator.choice(40 * 60, 600, replace=False)
    lines = [
        f"{pair // 60 + 1},{pair % 60 + 1},{generator.integers(1, 11) / 2},1141391873"
        for pair in pairs
    ]
    text = "\r\n".join(["userId,movieId,rating,timestamp", *lines]) + "\r\n"
    folder = tmp_path / "raw" / "ml-latest-small"
    folder.mkdir(parents=True)
    (folder / "ratings.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path / "raw"
