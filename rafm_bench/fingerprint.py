"""Which configs train the same model: a hash of all that decides a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.config import TrainConfig
from rafm_bench.run import MODEL

if TYPE_CHECKING:
    from typing import Any

WITHOUT_EFFECT = ("threads",)
"""Options that change no result."""


def config_fingerprint(config: TrainConfig) -> str:
    """Return the SHA-256 of a config, equal where the same data gives the same model.

    What is default is left out, so that options of later versions change no
    fingerprint; a file of levels and the model that training starts from count by
    their content, not by their place.
    """
    defaults = {one.name: one.default for one in fields(TrainConfig)}
    values: dict[str, Any] = {
        name: value
        for name, value in asdict(config).items()
        if name not in WITHOUT_EFFECT and value != defaults[name]
    }
    if config.levels is not None:
        values["levels"] = _hash(Path(config.levels))
    if config.init_from is not None:
        values["init_from"] = _hash(Path(config.init_from) / MODEL)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _hash(file: Path) -> str:
    """Return the SHA-256 of a file that may not be there; that is told later."""
    if not file.is_file():
        return ""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
