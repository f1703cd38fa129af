from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rafm_datasets import DataError, generate, generator_names, stream
from rafm_datasets.generators import load_generator
from rafm_datasets.planted import MISSING, POPULAR, RANKS, PlantedField

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

each_layout = pytest.mark.parametrize("layout", generator_names())


def written(layout: str, rows: int, seed: int, folder: Path) -> bytes:
    path = folder / f"{layout}-{rows}-{seed}.txt"
    generate(layout, rows, seed, str(path))
    return path.read_bytes()


@each_layout
def test_generated_bytes_repeat_and_depend_on_the_seed(
    layout: str, tmp_path: Path
) -> None:
    first = written(layout, 2000, 1, tmp_path)
    assert first == written(layout, 2000, 1, tmp_path)
    assert first != written(layout, 2000, 2, tmp_path)


@each_layout
def test_generated_rows_do_not_depend_on_chunks_or_on_how_many_follow(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(layout, 3000, 1, tmp_path)
    assert whole.startswith(written(layout, 1000, 1, tmp_path))
    monkeypatch.setattr("rafm_datasets.generation._CHUNK_ROWS", 77)
    assert written(layout, 3000, 1, tmp_path) == whole


@each_layout
def test_packed_output_holds_the_same_text_and_repeats(
    layout: str, tmp_path: Path
) -> None:
    plain = written(layout, 500, 1, tmp_path)
    packed = []
    for name in ("a.gz", "b.gz"):
        generate(layout, 500, 1, str(tmp_path / name))
        packed.append((tmp_path / name).read_bytes())
    assert packed[0] == packed[1]
    assert gzip.decompress(packed[0]) == plain


@each_layout
def test_generated_files_are_files_of_their_source(
    layout: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    path = tmp_path / "raw.txt"
    made = generate(layout, 4000, 3, str(path))
    assert (made.rows, made.path) == (4000, str(path))
    data = prepare_into(layout, path)
    assert sum(map(data.rows, ("train", "valid", "test"))) == 4000
    assert data.manifest.quarantined_rows == 0


def test_criteo_can_be_learned_but_not_from_single_features(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    path = tmp_path / "train.txt"
    made = generate("criteo", 20_000, 0, str(path))
    data = prepare_into("criteo", path, fractions=(1.0, 0.0, 0.0))
    rows = next(stream(data, "train", 20_000))
    rate = rows.labels.mean()
    base = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert 0.2 < rate < 0.4
    assert made.planted_loss < 0.65 * base
    model = load_generator("criteo").plant(0)
    values = model.draw(np.arange(20_000))
    z = model.scores(values)
    labels = model.uniform("label", "", np.arange(20_000)) < 1 / (1 + np.exp(-z))
    loss = np.logaddexp(0, np.where(labels, -z, z)).mean()
    assert made.planted_loss == pytest.approx(loss)


def test_frequencies_are_those_of_the_power_law() -> None:
    field = PlantedField("f", 50, missing=0.2)
    uniform = (np.arange(200_000) + 0.5) / 200_000
    drawn = field.popularity(uniform)
    assert (drawn == MISSING).mean() == pytest.approx(0.2, abs=1e-4)
    counts = np.bincount(drawn[drawn >= 0], minlength=50)
    edges = np.arange(1.0, 52.0) ** (1 - field.skew)
    expected = 0.8 * (edges[:-1] - edges[1:]) / (edges[0] - edges[-1])
    assert counts / 200_000 == pytest.approx(expected, abs=1e-4)
    least = [float(expected[9] / 0.8) * 0.999]
    assert field.bounds(least) == [10]


def test_popular_values_have_longer_vectors() -> None:
    model = load_generator("criteo").plant(0)
    norms = [model.vector_of("C7", value) for value in (0, 300, 9_000)]
    assert [int((vector != 0).sum()) for vector in norms] == list(RANKS)
    assert len(POPULAR) == len(RANKS) - 1


@pytest.mark.parametrize(
    ("layout", "rows", "reason"),
    [("netflix", 5, "there is no generator"), ("criteo", 0, "1 or more, got 0")],
)
def test_wrong_arguments_are_told(
    layout: str, rows: int, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=reason):
        generate(layout, rows, 0, str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_an_unwritable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        generate("criteo", 5, 0, str(tmp_path / "file" / "out"))
