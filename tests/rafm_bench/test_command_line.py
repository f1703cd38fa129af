"""The command line as a whole: help, laziness, exit codes, one line per mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from rafm_bench import __version__
from rafm_bench.cli.program import COMMANDS, main
from rafm_datasets import source_names

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    "numba", "polars", "pyarrow", "dask", "matplotlib", "rich", "jinja2", "sklearn"
)  # fmt: skip


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(words), prog_name="rafm-bench")
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("words", [[], ["train"]], ids=["program", "train"])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys\n"
        "from rafm_bench.cli import main\n"
        f"try: main({[*words, '--help']})\n"
        f"except SystemExit: print([m for m in {HEAVY} if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


@pytest.mark.parametrize(
    "name", [*(n for n in COMMANDS if n != "bench"), "bench compare", "bench publish"]
)
def test_help_of_every_command_ends_with_an_example(name: str) -> None:
    code, stdout, _ = run(*name.split(), "--help")
    assert code == 0
    assert stdout.rstrip().splitlines()[-1].startswith(f"    rafm-bench {name}")
    assert "--json" in stdout


def test_the_program_runs_as_a_module_and_tells_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rafm_bench", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"rafm-bench, version {__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "no such command 'trian'"),
        (["train", "x"], "missing option '--out'"),
        (["train", "x", "--out", "y", "--ranks", "16,8"], "--ranks must increase"),
        (["train", "x", "--out", "y", "--epochs", "ten"], "--epochs must be a whole"),
        (["train", "x", "--out", "y", "--model", "svm"], "--model must be one of lr,"),
        (["train", "x", "--out", "y", "--speed", "1"], "no such option '--speed'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(
    words: list[str], message: str
) -> None:
    code, stdout, stderr = run(*words)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("rafm-bench: ")
    assert stderr.count("\n") == 1
    assert message in stderr


def test_ctrl_c_is_exit_code_130_with_a_word_on_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command("backends")
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rafm_bench.cli.backends.command", command)
    code, _, stderr = run("backends")
    assert code == 130
    assert stderr.endswith("rafm-bench: interrupted; nothing was written\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"{sys.executable} -m rafm_bench backends --json | true"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_preparing_again_does_nothing_and_says_so(tmp_path: Path) -> None:
    raw = tmp_path / "raw.libfm"
    raw.write_text("1 3:1 5:1\n0 2:1\n" * 40, encoding="ascii")
    words = ("prepare", "libfm", str(raw), "--out", str(tmp_path / "data"))
    code, first, _ = run(*words)
    again = run(*words)
    assert code == 0
    assert again == (
        0,
        first,
        f"{tmp_path / 'data'} is prepared already; nothing was done\n",
    )


def test_an_option_of_another_source_is_refused(tmp_path: Path) -> None:
    words = (
        "prepare",
        "libfm",
        "raw",
        "--out",
        str(tmp_path / "data"),
        "--hour",
        "drop",
    )
    code, stdout, stderr = run(*words)
    assert (code, stdout) == (2, "")
    assert "hour is an option of source avazu, not of libfm" in stderr


def test_sources_are_listed_with_layout_page_and_licence() -> None:
    code, stdout, _ = run("sources", "--json")
    listed = json.loads(stdout)
    assert code == 0
    assert [one["name"] for one in listed] == list(source_names())
    assert all(one["layout"] and one["page"] and one["licence"] for one in listed)
    _, text, _ = run("sources")
    assert all(one["page"] in text for one in listed)
    assert "field:id:value" in text  # and no picture for `:id:`


def test_verify_tells_sound_data_from_damaged(tmp_path: Path) -> None:
    raw, data = tmp_path / "raw.libfm", tmp_path / "data"
    raw.write_text("1 3:1 5:1\n0 2:1\n" * 40, encoding="ascii")
    run("prepare", "libfm", str(raw), "--out", str(data))
    code, stdout, _ = run("verify", str(data))
    assert (code, "is sound" in stdout) == (0, True)
    part = data / "train" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    code, stdout, stderr = run("verify", str(data))
    assert (code, stderr.count("Traceback")) == (1, 0)
    assert "train/part-00000.parquet" in stdout
    code, stdout, _ = run("verify", str(data), "--json")
    assert (code, json.loads(stdout)["sound"]) == (1, False)


def test_a_time_split_holds_the_last_periods_out(tmp_path: Path) -> None:
    raw = tmp_path / "ratings.csv"
    lines = [f"{row % 7},{row % 5},{1 + row % 5},{row * 3600}" for row in range(96)]
    text = "\n".join(["userId,movieId,rating,timestamp", *lines, ""])
    raw.write_text(text, encoding="ascii")
    words = ["prepare", "movielens", str(raw), "--out", str(tmp_path / "data")]
    words += ["--split", "time", "--period", "12h", "--holdout", "1,2", "--json"]
    code, stdout, stderr = run(*words)
    assert code == 0, stderr
    splits = json.loads(stdout)["splits"]
    assert [one["n_rows"] for one in splits] == [60, 12, 24]


def test_what_can_be_fetched_is_listed_and_what_cannot_is_told() -> None:
    code, stdout, _ = run("fetch", "--json")
    listed = {one["name"]: one for one in json.loads(stdout)}
    assert code == 0
    assert {"ml-1m", "ml-32m", "amazon-movies", "criteo"} <= set(listed)
    _, text, _ = run("fetch")
    assert all(one["page"] in text for one in listed.values())
    code, stdout, stderr = run("fetch", "avazu")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert listed["avazu"]["page"] in stderr


def test_a_plan_is_told_and_nothing_is_prepared(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw.libfm", tmp_path / "data"
    raw.write_text("1 3:1 5:1\n0 2:1\n" * 40, encoding="ascii")
    words = ("prepare", "libfm", str(raw), "--out", str(out), "--plan")
    code, stdout, stderr = run(*words)
    assert (code, stderr) == (0, "")
    assert f"{out}: prepare would begin" in stdout
    assert "rows       about 80" in stdout
    assert "it may be half or twice that" in stdout
    code, stdout, _ = run(*words, "--json")
    told = json.loads(stdout)
    assert (code, told["action"], told["estimate"]["rows"]) == (0, "begin", 80)
    assert not out.exists()
    run(*words[:-1])
    code, stdout, _ = run(*words)
    assert (code, "is prepared already: prepare would do nothing" in stdout) == (0, 1)
