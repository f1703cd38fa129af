"""The cells of the experiments: a model on a data set under a protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rafm_bench.config_file import read_config_values

if TYPE_CHECKING:
    from rafm_bench.reproduce.sets import Protocol

EXPERIMENTS = ("table1", "table2", "table3", "table4", "fig1", "fig3", "fig4")
FOLDER = Path(__file__).parent / "cells"

S_CELLS = ("rafm-s1", "rafm-s2", "rafm-s3", "rafm-s4")
FM_RANKS = ("fm-32", "fm-64", "fm-128", "fm-256", "fm-512")
RATINGS = ("fm-32", "difacto-8-32", "mrma-8-32", "rafm-8-32")
CLICKS = ("lr", "fm-32", "difacto-8-32", "rafm-8-32")
SPARSE = ("lr", "fm-1", "fm-2", "fm-4", "fm-8", "difacto-1-2-4-8", "rafm-1-2-4-8")

TABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "table2": {"ml-tag": ("fm-512", *S_CELLS, "fm-64", "fm-128")},
    "table3": {
        "ml-10m": RATINGS,
        "ml-20m": RATINGS,
        "amazon-movies": RATINGS,
        "ml-1m": ("fm-64", "difacto-16-64", "mrma-16-64", "rafm-16-64"),
        "ml-latest-small": RATINGS,
        "amazon-instruments": RATINGS,
    },
    "table4": {
        "frappe": (
            "fm-256",
            "lr",
            "difacto-64-256",
            "rafm-64-256",
            "rafm-128-256",
            "fm-94",
            "fm-130",
            "fm-152",
        ),
        "ml-tag": ("fm-512", "difacto-32-512", "rafm-s3"),
        "criteo": ("fm-32", "lr", "difacto-8-32", "rafm-8-32"),
        "avazu": ("fm-32", "lr", "difacto-8-32", "rafm-8-32"),
    },
    "fig3": {"ml-tag": (*FM_RANKS, "rafm-s1")},
}
"""By experiment and data set the cells. An FM with ranks that the paper does not print
is there to be one of as many parameters as a RaFM has."""
FIG4_SETS = ("frappe", "planted")
FIG1_SETS = ("frappe", "ml-tag", "ml-1m", "criteo", "avazu")
LABELS = {"lr": "LR"} | {name: f"RaFM {name[-2:].upper()}" for name in S_CELLS}
MODELS = {"fm": "FM", "difacto": "DiFacto", "mrma": "MRMA", "rafm": "RaFM"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A model on a data set under a protocol; `changed` are options besides the file's.

    `name` is that of its file: data set, model with ranks, protocol.
    """

    data_set: str
    model: str
    protocol: Protocol
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Return the TOML file of its options."""
        return FOLDER / self.data_set / f"{self.model}.{self.protocol}.toml"

    @property
    def name(self) -> str:
        """Return the name by which its results are kept."""
        more = "".join(f".{key}-{value:g}" for key, value in self.changed.items())
        return f"{self.data_set}/{self.model}.{self.protocol}{more}"

    @property
    def label(self) -> str:
        """Name the model as people do."""
        model, *ranks = self.model.split("-")
        plain = f"{MODELS.get(model, model)} {','.join(ranks)}"
        return LABELS.get(self.model, plain)

    def options(self) -> dict[str, Any]:
        """Return the options of its file, and what is changed."""
        return read_config_values(self.file) | self.changed


def cells_of(experiment: str, data_set: str, protocol: Protocol) -> list[Cell]:
    """Return the cells of a table or of figure 3 that a protocol has a file for."""
    models = TABLES.get(experiment, {}).get(data_set, ())
    cells = [Cell(data_set, model, protocol) for model in models]
    return [cell for cell in cells if cell.file.is_file()]


def sparse_cells(data_set: str, l1: tuple[float, ...]) -> list[Cell]:
    """Return the cells of figure 4: each model at each strength of L1."""
    return [
        Cell(data_set, model, "sparse", {"l1": strength})
        for model in SPARSE
        for strength in l1
    ]
