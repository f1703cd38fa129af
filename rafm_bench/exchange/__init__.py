"""Models in the files of other programs, and back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from rafm_bench.errors import UserError
from rafm_bench.staging import staged_file

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.model_file import SavedModel
    from rafm_datasets import PreparedData

FORMATS = ("npz", "safetensors", "libfm")


class Format(Protocol):
    """A module that writes a model to a file and reads one back."""

    def write(self, saved: SavedModel, file: Path) -> None:
        """Write the model; UserError where the format cannot hold it."""

    def read(self, file: Path, like: PreparedData) -> SavedModel:
        """Read a model; UserError with file and place where it is not one."""


def format_of(file: Path, named: str | None) -> str:
    """Return the format that was named, or else that of the file's suffix."""
    found = named or file.suffix.removeprefix(".")
    if found not in FORMATS:
        raise UserError(
            f"{file}: its suffix names no format of models; add --format "
            f"{'|'.join(FORMATS)}"
        )
    return found


def export_model(saved: SavedModel, file: Path, form: str | None = None) -> None:
    """Write a model for other programs.

    Parameters
    ----------
    saved : a model with its parameters; `load_model` reads that of a run
    file : file to write; one that exists is replaced
    form : npz, safetensors or libfm; None is what the file's suffix says

    Raises
    ------
    UserError                         for a model that the format cannot hold
    """
    writer = _module(format_of(file, form))
    with staged_file(file) as temporary:
        writer.write(saved, temporary)


def import_model(file: Path, like: PreparedData, form: str | None = None) -> SavedModel:
    """Read a model of the features of `like`.

    Parameters
    ----------
    file : what `export_model` or another program wrote
    like : prepared data whose ids the model's features have
    form : as in `export_model`

    Raises
    ------
    UserError                         when the file is no such model, or of other data
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; check the path")
    saved = _module(format_of(file, form)).read(file, like)
    n_features = saved.model.layout.n_features
    if (saved.data_fingerprint, n_features) != (like.fingerprint, like.n_features):
        raise UserError(
            f"{file}: a model of other data than {like.folder}: its fingerprint is "
            f"{saved.data_fingerprint[:12]} with {n_features:,} features, that of the "
            f"data {like.fingerprint[:12]} with {like.n_features:,}; name the data "
            "that it was trained on"
        )
    return saved


def _module(form: str) -> Format:
    return cast("Format", importlib.import_module(f"rafm_bench.exchange.{form}"))
