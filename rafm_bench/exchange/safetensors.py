"""Models as safetensors: the same file that a run holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.model_file import load_model, save_model

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.model_file import SavedModel
    from rafm_datasets import PreparedData


def write(saved: SavedModel, file: Path) -> None:
    """Write a model; as in `Format`."""
    save_model(file, saved)


def read(file: Path, like: PreparedData) -> SavedModel:
    """Read a model; as in `Format`."""
    del like
    return load_model(file)
