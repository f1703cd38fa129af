"""The command lines that make a run again."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.config import DEFAULT_RANKS, TrainConfig

if TYPE_CHECKING:
    from rafm_bench.run import Run


def train_command(run: Run) -> str:
    """Return the `rafm-bench train` command that makes a run again."""
    words = train_words(run.config, run.result.data, run.folder)
    return shlex.join(["rafm-bench", *words])


def train_words(config: TrainConfig, data: str | Path, out: Path) -> list[str]:
    """Return the words of a `train` command, without what is default."""
    words = ["train", near(data)]
    for option in fields(TrainConfig):
        value = getattr(config, option.name)
        default = option.default
        if option.name == "ranks":
            default = DEFAULT_RANKS.get(config.model, ())
        if value != default:
            words += ["--" + option.name.replace("_", "-"), _text(value)]
    return [*words, "--out", near(out)]


def near(path: str | Path) -> str:
    """Return a path relative to the working folder where it lies inside it."""
    if "://" in str(path):
        return str(path)
    full = Path(path).resolve()
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
