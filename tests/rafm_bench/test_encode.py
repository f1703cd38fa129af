"""New rows, encoded and scored: the command lines `encode` and `predict --data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_bench.config import TrainConfig
from rafm_bench.progress import Silent
from rafm_bench.train import train
from rafm_datasets import PrepareOptions, generate, prepare

if TYPE_CHECKING:
    from rafm_bench.run import Run
    from rafm_datasets import PreparedData


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(map(str, words)), prog_name="rafm-bench")
    return result.exit_code, result.stdout, result.stderr


def test_raw_rows_score_as_the_same_rows_do_in_prepared_data(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    raw = click_data.folder.parent / "test.libfm"
    new, scores, expected = (tmp_path / name for name in ("new", "scores", "expected"))
    code, stdout, stderr = run(
        "encode", "libfm", raw, "--like", click_data.folder, "--out", new, "--json"
    )
    assert code == 0, stderr
    told = json.loads(stdout)
    assert (told["rows"], told["labeled"]) == (click_data.rows("test"), True)
    assert told["data_fingerprint"] == click_data.fingerprint
    words = ("predict", rafm_run.folder, "--data", new, "--out", scores, "--json")
    code, stdout, stderr = run(*words)
    assert code == 0, stderr
    assert json.loads(stdout)["n_rows"] == click_data.rows("test")
    code, _, stderr = run("predict", rafm_run.folder, "--out", expected)
    assert code == 0, stderr
    assert scores.read_bytes() == expected.read_bytes()


README = Path(__file__).parents[2] / "README.md"


def readme_commands(*names: str) -> list[list[str]]:
    """Find the commands of the README that begin with these names."""
    found = (line.split() for line in README.read_text("utf-8").splitlines())
    commands = [words[1:] for words in found if words[:1] == ["rafm-bench"]]
    return [words for words in commands if " ".join(words).startswith(names)]


def test_rows_without_labels_get_scores_alone_as_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw, test = tmp_path / "train.txt", tmp_path / "test.txt"
    generate("criteo", 600, 0, str(raw))
    lines = raw.read_text().splitlines()
    test.write_text("".join(line.split("\t", 1)[1] + "\n" for line in lines))
    data = prepare(PrepareOptions("criteo", (str(raw),), "data/criteo"))
    config = TrainConfig(model="lr", epochs=1)
    train(config, data, Path("runs/criteo"), Silent())
    commands = readme_commands("encode criteo", "predict runs/criteo")
    assert len(commands) == 2
    scored = []
    for file in (raw, test):
        for words in commands:
            given = [str(file) if word == "test.txt" else word for word in words]
            code, _, stderr = run(*given)
            assert code == 0, stderr
        scored.append(pl.read_parquet("scores.parquet"))
    labeled, bare = scored
    assert bare.columns == ["score"]
    assert labeled.columns == ["label", "score"]
    assert (bare["score"] == labeled["score"]).all()
    labels = [float(line.split("\t", 1)[0]) for line in lines]
    assert labeled["label"].to_list() == labels


def test_rows_with_the_ids_of_other_data_are_refused(
    rafm_run: Run, ratings: Path, tmp_path: Path
) -> None:
    raw, new = ratings.parent / "test.libfm", tmp_path / "new.parquet"
    run("encode", "libfm", raw, "--like", ratings, "--out", new)
    out = tmp_path / "scores"
    code, _, stderr = run("predict", rafm_run.folder, "--data", new, "--out", out)
    assert code == 2
    assert "has the ids of other data" in stderr
    assert f"--like {rafm_run.result.data}" in stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "new", "--split", "test"], "is a file of rows and has no splits"),
        (["data", "--data", "new"], "give DIR or --data, not both"),
        (["--data", "broken"], "cannot read"),
    ],
)
def test_what_cannot_be_scored_is_told(
    words: list[str],
    message: str,
    rafm_run: Run,
    click_data: PreparedData,
    tmp_path: Path,
) -> None:
    raw = click_data.folder.parent / "test.libfm"
    new, broken = tmp_path / "new", tmp_path / "broken"
    run("encode", "libfm", raw, "--like", click_data.folder, "--out", new)
    broken.write_bytes(new.read_bytes()[:-9])
    known = {"data": click_data.folder, "new": new, "broken": broken}
    given = [known.get(word, word) for word in words]
    out = tmp_path / "out"
    code, _, stderr = run("predict", rafm_run.folder, *given, "--out", out)
    assert code == 2
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not out.exists()


def test_scores_are_not_written_over_the_rows_they_are_for(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    raw, new = click_data.folder.parent / "test.libfm", tmp_path / "new"
    run("encode", "libfm", raw, "--like", click_data.folder, "--out", new)
    rows = new.read_bytes()
    code, _, stderr = run("predict", rafm_run.folder, "--data", new, "--out", new)
    assert (code, new.read_bytes()) == (2, rows)
    assert "holds the rows to score; choose another --out" in stderr


def test_what_new_rows_hold_that_the_data_does_not_is_told(
    click_data: PreparedData, tmp_path: Path
) -> None:
    raw, new = tmp_path / "new.libfm", tmp_path / "new.parquet"
    raw.write_text("1 3 99999\nx 4\n0 5\n")
    words = ["encode", "libfm", raw, "--like", click_data.folder, "--out", new]
    code, _, stderr = run(*words)
    assert (code, "line 2: label 'x' is not a number" in stderr) == (2, True)
    code, stdout, _ = run(*words, "--on-bad-row", "quarantine")
    assert code == 0
    assert f"2 rows with labels in {new}\nrows set aside: 1\n" in stdout
    assert ["feature", "1", "0"] in [line.split() for line in stdout.splitlines()]
