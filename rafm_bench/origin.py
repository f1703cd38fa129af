"""What a run is made from, by which its checkpoints know their own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.config_file import config_json
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from rafm_bench.config import TrainConfig
    from rafm_bench.job import Job
    from rafm_datasets import PreparedData
    from rafm_kernels import RankLayout


@dataclass(frozen=True, slots=True)
class Origin:
    """The data, the options, and the rest that decides a run.

    Attributes
    ----------
    data : folder or address of the data
    config : as config.json has it, without the number of threads
    layout : SHA-256 of what decides which parameter is whose
    start : SHA-256 of the model file that training started from; "" without one
    """

    data: str
    data_fingerprint: str
    config: dict[str, Any]
    layout: str
    start: str


def origin_of(job: Job, config: TrainConfig, start: str) -> Origin:
    """Return the origin of a job's run whose config.json holds `config`."""
    data = job.data
    layout = fingerprint_of(job.model.layout)
    where = str(data.folder.resolve())
    return Origin(where, data.fingerprint, comparable(config), layout, start)


def comparable(config: TrainConfig) -> dict[str, Any]:
    """Return what decides a run's results, as JSON reads it back."""
    written: dict[str, Any] = json.loads(config_json(config))
    del written["threads"]
    if config.levels is not None:
        written["levels"] = Path(config.levels).name
    return written


def fingerprint_of(layout: RankLayout) -> str:
    """Return the SHA-256 of a layout: equal ones lay parameters out in one way."""
    sizes = [
        layout.rank_dims,
        layout.features_at_rank,
        layout.table_dims,
        layout.n_features,
        layout.n_trained,
    ]
    found = hashlib.sha256(json.dumps(sizes).encode())
    if layout.order is not None:
        found.update(layout.order.tobytes())
    return found.hexdigest()


def check_data(origin: Origin, data: PreparedData, folder: Path) -> None:
    """Refuse to go on with a run on other data than it was begun on."""
    if data.fingerprint != origin.data_fingerprint:
        raise UserError(
            f"{data.folder}: not the data of {folder}: its fingerprint is "
            f"{data.fingerprint[:12]}, and the run was begun on "
            f"{origin.data_fingerprint[:12]} ({origin.data}); pass that folder"
        )


def check_config(origin: Origin, config: TrainConfig, file: Path) -> None:
    """Refuse options, read from `file`, that are not those the run was begun with."""
    now = comparable(config)
    for name, then in origin.config.items():
        if now.get(name) != then:
            raise UserError(
                f"{file}: `{name}` is {now.get(name)!r}, and the run was begun with "
                f"{then!r}; put it back, or train another run"
            )


def check_files(origin: Origin, now: Origin, folder: Path) -> None:
    """Refuse a levels file or a starting model that changed since the beginning."""
    if now.start != origin.start:
        raise UserError(
            f"{origin.config['init_from']}: its model is no longer the one that "
            f"{folder} starts from; put it back, or train another run"
        )
    if now.layout != origin.layout:
        raise UserError(
            f"{folder}/{origin.config['levels']}: gives other ranks than when the run "
            "was begun; put it back, or train another run"
        )
