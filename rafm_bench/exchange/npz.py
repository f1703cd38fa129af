"""Models as NumPy archives.

`linear` is by the data's ids. Row r of every `embeddings.k` is that of feature
`features[r]`. `about` is a text that holds JSON.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from rafm_bench.errors import UserError
from rafm_bench.model_file import arrays_of, describe_model, restore_model

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.model_file import SavedModel
    from rafm_datasets import PreparedData


def write(saved: SavedModel, file: Path) -> None:
    """Write a model; as in `Format`."""
    arrays = arrays_of(saved)
    ids = np.arange(saved.model.layout.n_features, dtype=np.int32)
    order = arrays.pop("order", ids)
    arrays["linear"] = arrays["linear"][order]
    arrays["features"] = np.argsort(order).astype(np.int32)
    with file.open("wb") as handle:
        np.savez(handle, about=np.array(json.dumps(describe_model(saved))), **arrays)


def read(file: Path, like: PreparedData) -> SavedModel:
    """Read a model; as in `Format`."""
    del like
    arrays = _arrays(file)
    missing = sorted({"about", "features", "linear"} - set(arrays))
    if missing:
        raise UserError(
            f"{file}: has no array {missing[0]!r}, which every exported model has; "
            "pass a file that `rafm-bench export` wrote"
        )
    features = arrays.pop("features")
    about = arrays.pop("about")
    n_features = arrays["linear"].size
    is_whole = features.dtype.kind in "iu" and features.shape == (n_features,)
    if not (is_whole and np.array_equal(np.sort(features), np.arange(n_features))):
        raise UserError(
            f"{file}: array 'features' must name each of the {n_features:,} features "
            f"once, as whole numbers, got {features.dtype}{list(features.shape)}; "
            "export the model again"
        )
    if arrays["linear"].ndim == 1:  # which `restore_model` sees to
        arrays["linear"] = arrays["linear"][features]
    order = np.argsort(features).astype(np.int32)
    if (np.diff(order) < 0).any():
        arrays["order"] = order
    try:
        return restore_model(arrays, json.loads(str(about)), file)
    except (KeyError, TypeError, json.JSONDecodeError):
        raise UserError(
            f"{file}: array 'about' does not describe a model; export it again"
        ) from None


def _arrays(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as opened:
            return dict(opened)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: not a readable .npz file: {error}") from None
