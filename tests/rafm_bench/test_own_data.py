"""`prepare table` as the README shows it, and flags of `prepare`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_datasets import open_prepared, verify

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = (
    README.read_text(encoding="utf-8").split("## Your own data")[1].split("\n## ")[0]
)
DESCRIPTIONS = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\nrafm-bench (.*?)\n```", SECTION)
HEADER = "id,clicked,when,user,price,age,weight,tags,city\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(labels: tuple[str, str]) -> str:
    lines = [
        f"{i},{labels[i % 2]},2024-01-{i % 30 + 1:02},u{i % 9},{i * 7},{i % 80},"
        f'{i / 4},red:0.5|t{i % 3},"a, {i % 4}"\n'
        for i in range(120)
    ]
    return HEADER + "".join(lines)


def test_the_readme_shows_a_short_description_and_a_whole_one() -> None:
    assert len(DESCRIPTIONS) == 2


@pytest.mark.parametrize(
    ("description", "labels", "fields"),
    [
        (DESCRIPTIONS[0], ("0", "1"), HEADER.strip().replace("clicked,", "")),
        (DESCRIPTIONS[1], ("no", "yes"), "user,price,age,weight,tags,city"),
    ],
    ids=["short", "whole"],
)
def test_the_command_of_the_readme_prepares_a_table(
    here: Path, description: str, labels: tuple[str, str], fields: str
) -> None:
    (here / "clicks.csv").write_text(rows(labels))
    (here / "clicks.toml").write_text(description)
    result = CliRunner().invoke(main, [*COMMAND.split(), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["task"] == "classification"
    data = open_prepared(here / "data/clicks")
    assert [field.name for field in data.fields] == fields.split(",")
    assert sum(data.manifest.splits[s].positives or 0 for s in data.splits) == 60
    assert verify(data.folder).sound


def test_every_key_of_the_readme_may_be_written(here: Path) -> None:
    whole = re.sub("^# ([a-z]+ =)", r"\1", DESCRIPTIONS[1], flags=re.MULTILINE)
    names = HEADER.strip().replace(",", '", "')
    whole = re.sub(r"columns = \[.*\]", f'columns = ["{names}"]', whole)
    (here / "clicks.csv").write_text(rows(("no", "yes")).removeprefix(HEADER))
    (here / "clicks.toml").write_text(whole)
    words = [*COMMAND.split(), "--split", "time", "--period", "1d", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["task"] == "regression"
    assert open_prepared(here / "data/clicks").rows("test") == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--min-count", "x"], "must be like 5, or 5,C1=10, got 'x'"),
        (["--min-count", "=5"], "must be like 5, or 5,C1=10, got '=5'"),
        (["--min-count", "usr=5"], "'usr' that the data does not have; its fields are"),
        (["--holdout", "1,1"], "holdout is for a split that is time"),
        (["--split", "time", "--fractions", "1,0,0"], "fractions is for a split that"),
        (["--describe", "none.toml"], "cannot read none.toml: No such file"),
    ],
)
def test_a_wrong_flag_of_prepare_is_told_in_one_line(
    here: Path, words: list[str], message: str
) -> None:
    (here / "clicks.csv").write_text(rows(("0", "1")))
    (here / "clicks.toml").write_text('label = "clicked"\n')
    result = CliRunner().invoke(main, [*COMMAND.split(), *words])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_least_counts_come_from_one_flag_or_several(here: Path) -> None:
    (here / "clicks.csv").write_text(rows(("0", "1")))
    (here / "clicks.toml").write_text('label = "clicked"\n')
    words = ["--min-count", "3,user=4", "--min-count", "city=40", "--json"]
    result = CliRunner().invoke(main, [*COMMAND.split(), *words])
    assert result.exit_code == 0, result.stderr
    parameters = open_prepared(here / "data/clicks").manifest.parameters
    assert parameters["min_count"] == 3
    assert parameters["field_min_counts"] == {"city": 40, "user": 4}
