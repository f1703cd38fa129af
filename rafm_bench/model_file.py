"""A trained model as one safetensors file that is enough to score with.

The file holds no date and one metadata key, so equal models are equal bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rafm_bench.errors import UserError, door
from rafm_bench.staging import staged_file
from rafm_bench.tensor_file import open_tensors, write_tensors
from rafm_kernels import (
    Model,
    Parameters,
    RankLayout,
    parameter_arrays,
    parameters_from_arrays,
)

if TYPE_CHECKING:
    from pathlib import Path

METADATA_KEY = "rafm_bench"
FORMAT_VERSION = 1


class SavedModel(NamedTuple):
    """A model, its parameters, and the fingerprint of the data that gave its ids."""

    model: Model
    parameters: Parameters
    data_fingerprint: str


def save_model(file: Path, saved: SavedModel) -> str:
    """Write a model file whole or not at all; return its SHA-256 in hex.

    Nothing is copied in memory. RunError when the disk does not take it.
    """
    metadata = {METADATA_KEY: json.dumps(describe_model(saved))}
    with staged_file(file) as temporary:
        return write_tensors(temporary, arrays_of(saved), metadata)


def arrays_of(saved: SavedModel) -> dict[str, Any]:
    """Return all arrays of a model by name; `order` only where ids are not ranks."""
    layout = saved.model.layout
    arrays = parameter_arrays(saved.parameters, layout)
    if layout.order is not None:
        arrays["order"] = layout.order
    return arrays


def describe_model(saved: SavedModel) -> dict[str, Any]:
    """Return what a saved model is besides its arrays, as JSON has it."""
    return describe(saved.model, saved.data_fingerprint)


def describe(model: Model, data_fingerprint: str) -> dict[str, Any]:
    """Return what `describe_model` does, of a model without its parameters."""
    layout = model.layout
    return {
        "format_version": FORMAT_VERSION,
        "model": model.name,
        "loss": model.loss,
        "projection": model.projection,
        "rank_dims": layout.rank_dims,
        "features_at_rank": layout.features_at_rank,
        "table_dims": layout.table_dims,
        "n_features": layout.n_features,
        "n_trained": layout.n_trained,
        "data_fingerprint": data_fingerprint,
    }


def check_there(file: Path) -> None:
    """Raise UserError where a run has no model file."""
    if not file.is_file():
        raise UserError(
            f"{file}: no such model file; train the run again (a search "
            "keeps the model of its best trial only, unless by --keep-models)"
        )


def load_model(file: Path) -> SavedModel:
    """Read a model file; UserError when it is not one, or of a newer version.

    Memory: that of the parameters, once.
    """
    return restore_model(*_read(file), file)


def restore_model(
    arrays: dict[str, Any], about: dict[str, Any], file: Path
) -> SavedModel:
    """Make a model of what `arrays_of` and `describe_model` gave, read from `file`."""
    if about["format_version"] > FORMAT_VERSION:
        raise UserError(
            f"{file}: model format {about['format_version']} is newer than "
            f"{FORMAT_VERSION}, the newest this version reads; upgrade rafm-bench"
        )
    with door():
        layout = RankLayout(
            rank_dims=tuple(about["rank_dims"]),
            features_at_rank=tuple(about["features_at_rank"]),
            n_features=about["n_features"],
            n_trained=about["n_trained"],
            order=arrays.pop("order", None),
            table_dims=tuple(about.get("table_dims", ())),  # older files: as the ranks
        )
        model = Model(about["model"], layout, about["loss"], about["projection"])
        parameters = parameters_from_arrays(arrays, layout)
    return SavedModel(model, parameters, about["data_fingerprint"])


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    check_there(file)
    try:
        with safe_open(file, framework="np") as opened:
            metadata = opened.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{file}: not a readable safetensors file: {error}") from None
    if METADATA_KEY not in metadata:
        raise UserError(
            f"{file}: was not written by rafm-bench; pass a RUN's own model"
        )
    arrays = open_tensors(file).mapped()
    if "order" in arrays:  # which the model keeps
        arrays["order"] = np.array(arrays["order"])
    return arrays, json.loads(metadata[METADATA_KEY])
