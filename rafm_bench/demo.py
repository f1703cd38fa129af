"""The demo: generated logs, prepared, three models trained, one report."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.commands import near, train_words
from rafm_bench.config import TrainConfig
from rafm_bench.errors import RunError, UserError, leaving
from rafm_bench.progress import reporter
from rafm_bench.report import write_report
from rafm_bench.run import Run, read_run
from rafm_datasets import PrepareOptions, generate, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import Generated

MARKER = ".made-by-rafm-bench-demo"
N_ROWS, SEED, MIN_COUNT = 400_000, 0, 4
COMMON = TrainConfig(learning_rate=0.02, l2=2e-4, epochs=6)
CONFIGS = {
    "fm": replace(COMMON, model="fm", ranks=(64,)),
    "rafm": replace(COMMON, ranks=(4, 16, 64)),
    "lr": replace(COMMON, model="lr", ranks=()),
}
"""What is trained, the first being the measure of the others. Learning rate and L2 are
those of a grid {0.01, 0.02, 0.03} x {1, 2, 4, 5, 10}e-4 that suit FM 64 best."""


class Demo(NamedTuple):
    """What the demo made."""

    folder: Path
    report: Path
    runs: list[Run]


def demo(out: Path) -> Demo:
    """Make the demo in a folder; an earlier demo in it is replaced, nothing else is.

    Raises
    ------
    UserError                         when `out` holds anything that is no demo
    Interrupted                       on Ctrl-C; the same command starts over
    """
    take_over(out)
    raw = str(out / "raw" / "clicks.tsv.gz")
    options = PrepareOptions("criteo", (raw,), str(out / "data"), min_count=MIN_COUNT)
    with leaving(f"{out} is half made, and the same command makes it anew"):
        generated = _make_data(options)
        runs = [_train(name, options.out, out / "runs" / name) for name in CONFIGS]
        page = out / "report.html"
        commands = _data_commands(options)
        write_report(page, runs, "RaFM-Bench demo", commands, _remarks(generated))
    return Demo(out, page, runs)


def take_over(out: Path) -> None:
    """Make `out` an empty folder of the demo's own."""
    if out.exists():
        if not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).is_file()):
            raise UserError(
                f"{out}: holds what the demo did not make, and is left alone; choose "
                "another --out"
            )
        shutil.rmtree(out)
    (out / "raw").mkdir(parents=True)
    (out / MARKER).touch()


def _make_data(options: PrepareOptions) -> Generated:
    """Write the raw file and prepare it."""
    with reporter() as report:
        report.say(f"generating {N_ROWS:,} rows of logs in the layout of Criteo")
        generated = generate("criteo", N_ROWS, SEED, options.raw[0], progress=report)
        report.say("preparing them: split, count, encode")
        prepare(options, progress=report)
    return generated


def _train(name: str, data: str, out: Path) -> Run:
    """Train by the command that the report shows, so that its memory is its own."""
    words = train_words(CONFIGS[name], data, out)
    ranks = ",".join(map(str, CONFIGS[name].ranks))
    with reporter() as report:
        report.say(f"training {name} {ranks}".rstrip())
    command = [sys.executable, "-m", "rafm_bench", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RunError(
            f"`rafm-bench {' '.join(words)}` ended with code {done.returncode}, as told"
            " above"
        )
    return read_run(out)


def _data_commands(options: PrepareOptions) -> list[str]:
    """Return the commands that make the demo's data."""
    raw, out = near(options.raw[0]), near(options.out)
    return [
        f"rafm-bench generate criteo --rows {N_ROWS} --seed {SEED} --out {raw}",
        f"rafm-bench prepare criteo {raw} --min-count {MIN_COUNT} --out {out}",
    ]


def _remarks(generated: Generated) -> list[str]:
    return [
        "the rows are generated so that ranks matter: a planted model gives popular "
        "values more dimensions than rare ones, and its constants were chosen so that "
        "RaFM gains by it; this shows the program, not what RaFM does on real logs",
        "a model that knew all that was planted would have a log loss of "
        f"{generated.planted_loss:.4f}",
    ]
