"""Every wrong input is one sentence on stderr that names the file, and exit code 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from rafm_bench.run import Run

Words = list[str | Path]


def refusal(words: Words) -> str:
    """Run a command that must be refused; return its one line on stderr."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2, (result.exit_code, result.stderr, result.exception)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (None, ["x.libfm"]),
        ("", ["x.libfm"]),
        ("1 1 2\nyes 1 2\n", ["x.libfm", "line 2", "yes"]),
        ("1 1 2\n0\n1 x 3\n", ["x.libfm", "line 3", "x"]),
        ("1 1 2\n0 1 -2\n", ["x.libfm", "line 2", "-2"]),
    ],
    ids=["no such file", "empty", "text label", "text id", "negative id"],
)
def test_a_raw_file_that_cannot_be_read(
    tmp_path: Path, lines: str | None, told: list[str]
) -> None:
    file = tmp_path / "x.libfm"
    if lines is not None:
        file.write_text(lines, encoding="ascii")
    message = refusal(["prepare", "libfm", file, "--out", tmp_path / "data"])
    assert [word for word in told if word not in message] == []
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_a_short_row_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "ratings.dat"
    file.write_text("1::2::3::4\n1::2\n", encoding="ascii")
    message = refusal(["prepare", "movielens", file, "--out", tmp_path / "data"])
    assert "ratings.dat" in message
    assert "line 2" in message


def test_an_unknown_source_lists_the_known_ones(tmp_path: Path) -> None:
    message = refusal(["prepare", "frapé", "x", "--out", tmp_path / "data"])
    assert "libfm" in message


def newer(clicks: Path, folder: Path) -> Path:
    copy = folder / "newer"
    shutil.copytree(clicks, copy)
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    manifest["schema_version"] = 99
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    "command",
    [
        lambda data, _: ["inspect", data],
        lambda data, _: ["explain", data, "--id", "1"],
        lambda data, folder: ["train", data, "--out", folder / "run"],
    ],
    ids=["inspect", "explain", "train"],
)
def test_a_folder_that_is_not_prepared_or_is_newer(
    command: Callable[[Path, Path], Words], clicks: Path, tmp_path: Path
) -> None:
    assert "none" in refusal(command(tmp_path / "none", tmp_path))
    assert "not prepared data" in refusal(command(tmp_path, tmp_path))
    message = refusal(command(newer(clicks, tmp_path), tmp_path))
    assert "99" in message
    assert "update rafm-bench" in message


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--ranks", "16,8"], "--ranks must increase strictly, got 8 after 16"),
        (["--ranks", "8,8"], "--ranks must increase strictly, got 8 after 8"),
        (["--model", "lr", "--ranks", "8"], "takes no ranks"),
        (["--backend", "gpu"], "unknown backend 'gpu'"),
        (["--l1", "0.1"], "optimizer 'adagrad' does not use `l1`, got 0.1; leave it"),
        (["--l2-scope", "all"], "does not use `l2_scope`, got all; leave it out, or c"),
        (["--levels", "x.csv"], "--levels goes with --rank-rule explicit"),
        (
            ["--rank-rule", "thresholds", "--thresholds", "9,9,9"],
            "needs 1 numbers",
        ),
    ],
)
def test_options_that_make_no_model(
    clicks: Path, tmp_path: Path, flags: Words, told: str
) -> None:
    assert told in refusal(["train", clicks, "--out", tmp_path / "run", *flags])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_in_the_config_file(clicks: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("epochs = 2\nspeed = 3\n", encoding="ascii")
    words: Words = ["train", clicks, "--config", config, "--out", tmp_path / "run"]
    assert f"{config}, line 2: unknown option `speed`" in refusal(words)


def test_a_run_folder_that_exists(clicks: Path, rafm_run: Run) -> None:
    message = refusal(["train", clicks, "--out", rafm_run.folder])
    assert f"{rafm_run.folder}: exists already" in message


def test_a_folder_that_is_no_run(clicks: Path, tmp_path: Path) -> None:
    commands: list[Words] = [
        ["evaluate", clicks],
        ["predict", clicks, clicks, "--out", tmp_path / "p.parquet"],
        ["compare", clicks],
    ]
    for words in commands:
        assert f"{clicks}: not a finished run" in refusal(words)


def test_a_damaged_run(rafm_run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(rafm_run.folder, copy)
    (copy / "model.safetensors").write_bytes(b"x" * 100)
    assert "not a readable safetensors file" in refusal(["evaluate", copy])
    for text in ("{", "[]", '{"result_version": 1}'):
        (copy / "result.json").write_text(text, encoding="ascii")
        assert "result.json: damaged" in refusal(["evaluate", copy])


def test_data_that_the_model_was_not_trained_on(rafm_run: Run, ratings: Path) -> None:
    message = refusal(["evaluate", rafm_run.folder, "--data", ratings])
    assert rafm_run.result.data_fingerprint[:12] in message
    assert "not the data of" in message


def test_a_split_that_is_not_there(rafm_run: Run) -> None:
    message = refusal(["evaluate", rafm_run.folder, "--split", "tset"])
    assert "choose one of train, valid, test" in message


def test_a_feature_that_is_not_there(clicks: Path) -> None:
    assert "no feature has id 9999" in refusal(["explain", clicks, "--id", "9999"])
    assert "no field 'city'" in refusal(["explain", clicks, "city", "x"])
    assert "takes a FIELD and a VALUE, or --id" in refusal(["explain", clicks])
