"""Which configs train the same model: a hash of all that decides a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rafm_bench.config import TrainConfig

if TYPE_CHECKING:
    from typing import Any

WITHOUT_EFFECT = ("threads",)
"""Options that change no result."""


def config_fingerprint(config: TrainConfig) -> str:
    """Return the SHA-256 of a config, equal where the same data gives the same model.

    What is default is left out, so that options of later versions change no
    fingerprint; a file of levels counts by its content, not by its place.
    """
    defaults = {one.name: one.default for one in fields(TrainConfig)}
    values: dict[str, Any] = {
        name: value
        for name, value in asdict(config).items()
        if name not in WITHOUT_EFFECT and value != defaults[name]
    }
    if config.levels is not None:
        content = Path(config.levels).read_bytes()
        values["levels"] = hashlib.sha256(content).hexdigest()
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
