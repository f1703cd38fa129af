"""Every command that reads prepared data takes an address for its folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fsspec
import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "memory://bucket/clicks"


@pytest.fixture
def memory() -> Iterator[None]:
    """An empty file system behind memory://."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def run(*words: object) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), prog_name="rafm-bench")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("memory")
def test_data_at_an_address_is_prepared_and_used_as_in_a_folder(
    clicks: Path, tmp_path: Path
) -> None:
    raw = [clicks.parent / f"{split}.libfm" for split in ("train", "valid", "test")]
    words = ("prepare", "libfm", *raw, "--split", "given", "--out")
    assert f"{TARGET}: classification" in run(
        *words, TARGET, "--work", tmp_path / "work"
    )
    told = json.loads(run("inspect", TARGET, "--ranks", "2,8", "--json"))
    assert (told["folder"], len(told["levels"])) == (TARGET, 2)
    runs = {}
    for name, data in {"far": TARGET, "near": clicks}.items():
        runs[name] = tmp_path / name
        run("train", data, "--model", "fm", "--epochs", 1, "--out", runs[name])
    models = [(folder / "model.safetensors").read_bytes() for folder in runs.values()]
    assert models[0] == models[1]
    assert json.loads((runs["far"] / "result.json").read_text())["data"] == TARGET
    scores = [tmp_path / name for name in ("a", "b", "c")]
    run("predict", runs["far"], "--out", scores[0])
    run("predict", runs["near"], TARGET, "--out", scores[1])
    run("predict", runs["near"], "--data", TARGET, "--out", scores[2])
    assert len({file.read_bytes() for file in scores}) == 1
    assert run("evaluate", runs["far"], "--json") == run(
        "evaluate", runs["near"], "--data", TARGET, "--json"
    )
    run("export", runs["near"], "--out", tmp_path / "m.npz")
    run("import", tmp_path / "m.npz", "--like", TARGET, "--out", tmp_path / "back")
    assert run("evaluate", tmp_path / "back") == run("evaluate", runs["near"])
    assert "is sound" in run("verify", TARGET)
    explained = [run("explain", data, "feature", "0") for data in (TARGET, clicks)]
    assert explained[0] == explained[1]
    run("compare", *runs.values(), "--html", tmp_path / "report.html")
    assert f"train {TARGET}" in (tmp_path / "report.html").read_text()
