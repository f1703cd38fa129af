"""The report: one file, nothing from outside, all of its parts in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from rafm_bench.commands import train_command
from rafm_bench.config import TrainConfig
from rafm_bench.progress import Silent
from rafm_bench.report import write_report
from rafm_bench.train import train
from rafm_bench.words import finding, run_labels, size

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.run import Run
    from rafm_datasets import PreparedData


@pytest.fixture(scope="module")
def runs(
    rafm_run: Run, click_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> list[Run]:
    out = tmp_path_factory.mktemp("lr") / "lr"
    config = TrainConfig(model="lr", epochs=2)
    return [train(config, click_data, out, Silent()), rafm_run]


class Ids(HTMLParser):
    """Collects ids and references to other files."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href") and not str(value).startswith("#"):
                self.outside.append(str(value))


def test_a_report_is_one_file_without_outside_requests(
    runs: list[Run], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    write_report(file, runs, before=["rafm-bench prepare <x>"])
    text = file.read_text(encoding="utf-8")
    parser = Ids()
    parser.feed(text)
    assert parser.outside == []
    assert len(parser.ids) == len(set(parser.ids))
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert text.count("<svg") == 5
    assert "rafm-bench prepare &lt;x&gt;" in text
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower()


def test_a_report_of_runs_whose_data_is_gone_has_no_data_in_it(
    runs: list[Run], tmp_path: Path
) -> None:
    gone = [
        replace(run, result=replace(run.result, data=str(tmp_path / "gone")))
        for run in runs
    ]
    file = tmp_path / "report.html"
    write_report(file, gone)
    assert file.read_text(encoding="utf-8").count("<svg") == 4


def test_the_command_of_a_run_makes_it_again(runs: list[Run]) -> None:
    command = train_command(runs[1])
    assert command == (
        f"rafm-bench train {runs[1].result.data} --ranks 2,8,16 --loss log "
        f"--batch-size 64 --epochs 4 --seed 3 --out {runs[1].folder}"
    )


def test_labels_tell_runs_apart(runs: list[Run]) -> None:
    assert run_labels(runs) == ["LR", "RaFM 2,8,16"]
    assert run_labels([runs[1], runs[1]]) == ["RaFM 2,8,16 (rafm)"] * 2


def test_the_finding_names_the_best_run_and_its_rival(runs: list[Run]) -> None:
    sentence = finding(runs, run_labels(runs))
    assert sentence.startswith("RaFM 2,8,16 has the lowest test log loss, 0.")
    assert "below LR, with" in sentence
    untested = [replace(run, result=replace(run.result, test=None)) for run in runs]
    assert "no test rows" in finding(untested, run_labels(runs))


def test_sizes_are_short() -> None:
    assert size(3 * 2**20) == "3 MiB"
    assert size(3 * 2**29) == "1.5 GiB"
