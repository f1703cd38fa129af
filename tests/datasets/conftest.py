"""Fixtures shared by the tests of rafm_datasets: small data sets, naive readers."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rafm_datasets import PrepareOptions, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from rafm_datasets import PreparedData


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real samples; skips where it is not."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("RAFM_BENCH_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real samples are absent; set RAFM_BENCH_DATA to their folder")
    return folder


def libfm_lines(n_rows: int, seed: int) -> list[str]:
    """Rows of 1 to 5 skewed ids with values, labels 0 and 1."""
    draw = random.Random(seed)
    lines = []
    for _ in range(n_rows):
        ids = sorted({int(draw.paretovariate(0.7)) % 5000 for _ in range(5)})
        entries = " ".join(f"{i}:{draw.choice([1, 2, 0.5])}" for i in ids)
        lines.append(f"{draw.randint(0, 1)} {entries}")
    return lines


@pytest.fixture(scope="session")
def write_libfm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def write(n_rows: int = 3000, seed: int = 0) -> Path:
        path = tmp_path_factory.mktemp("raw") / "data.libfm"
        path.write_text("\n".join(libfm_lines(n_rows, seed)) + "\n")
        return path

    return write


@pytest.fixture(scope="session")
def prepare_into(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., PreparedData]:
    """Prepare into a folder of its own; options as keywords."""

    def run(source: str, *raw: Path | str, **options: object) -> PreparedData:
        out = str(options.pop("out", tmp_path_factory.mktemp("out")))
        texts = tuple(str(item) for item in raw)
        return prepare(PrepareOptions(source, texts, out, **options))  # type: ignore[arg-type]

    return run


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 64 rows and partitions of 256, so that small data has many."""
    monkeypatch.setattr("rafm_datasets.schema.GROUP_ROWS", 64)
    monkeypatch.setattr("rafm_datasets.schema._GROUPS_PER_PARTITION", (1, 4))
