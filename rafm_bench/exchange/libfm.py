"""Models of one rank as the text that libFM saves and loads (-save_model, -load_model).

Three parts, each below a line that begins with `#`: the bias, a line for each linear
weight, a line of blank-separated numbers for each embedding. Numbers are as short as
they can be and still come back as the same float. libFM cannot read an embedding of one
number itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rafm_bench.counts import level_counts
from rafm_bench.errors import UserError
from rafm_bench.job import TASK_LOSS
from rafm_bench.model_file import SavedModel
from rafm_kernels import FIELD_MODELS, make_model, tables, zero_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets import PreparedData

BIAS = "#global bias W0"
LINEAR = "#unary interactions Wj"
EMBEDDINGS = "#pairwise interactions Vj,f"


def write(saved: SavedModel, file: Path) -> None:
    """Write a model; as in `Format`."""
    model, parameters, _ = saved
    layout = model.layout
    if model.name in FIELD_MODELS or layout.n_levels > 1:
        ranks = ",".join(map(str, layout.rank_dims))
        raise UserError(
            f"libFM's format holds one vector of one rank for each feature, and this "
            f"model is {model.name} with ranks {ranks}; export it as npz or safetensors"
        )
    rows = layout.remap(np.arange(layout.n_features))
    with file.open("wb") as handle:
        handle.write(f"{BIAS}\n{parameters.bias[0]!s}\n{LINEAR}\n".encode())
        handle.write(_text(parameters.linear[rows, None]))
        handle.write(f"{EMBEDDINGS}\n".encode())
        found = tables(parameters, layout)
        handle.write(_text(found[0][rows]) if found else b"\n" * len(rows))


def read(file: Path, like: PreparedData) -> SavedModel:
    """Read a model; as in `Format`; its loss is that of the data's task."""
    parts = _parts(file)
    n_features = like.n_features
    bias = _numbers(file, parts, BIAS, 1)[:, 0]
    linear = _numbers(file, parts, LINEAR, n_features)[:, 0]
    embeddings = _numbers(file, parts, EMBEDDINGS, n_features)
    width = embeddings.shape[1]
    model = make_model(
        "fm" if width else "lr",
        level_counts(like),
        (width,) if width else (),
        loss=TASK_LOSS[like.task],
    )
    parameters = zero_parameters(model.layout)
    parameters.bias[...] = bias
    parameters.linear[...] = linear
    for table in tables(parameters, model.layout):
        table[...] = embeddings
    return SavedModel(model, parameters, like.fingerprint)


def _text(numbers: NDArray[np.floating]) -> bytes:
    """Write a row a line, each number as short as it can be."""
    frame = pl.from_numpy(np.ascontiguousarray(numbers))
    return frame.write_csv(include_header=False, separator=" ").encode("ascii")


def _parts(file: Path) -> dict[str, tuple[int, list[str]]]:
    """Split a file into its parts: name -> line of the first number, lines."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{file}: not a model of libFM, which is ASCII text") from None
    heads = [at for at, line in enumerate(lines) if line.startswith("#")]
    names = [lines[at].strip() for at in heads]
    expected = [name for name in (BIAS, LINEAR, EMBEDDINGS) if name in names]
    if names != expected or EMBEDDINGS not in names or heads[0] != 0:
        raise UserError(
            f"{file}: not a model of libFM, whose parts are {BIAS!r}, {LINEAR!r} and "
            f"{EMBEDDINGS!r}; this file has {names or 'none of them'}"
        )
    ends = [*heads[1:], len(lines)]
    return {
        name: (at + 2, lines[at + 1 : end])
        for name, at, end in zip(names, heads, ends, strict=True)
    }


def _numbers(
    file: Path, parts: dict[str, tuple[int, list[str]]], name: str, n_rows: int
) -> NDArray[np.float32]:
    """Read a part: float32[n_rows, width]; zeros where libFM left the part out."""
    if name not in parts:
        return np.zeros((n_rows, 1), np.float32)
    first, lines = parts[name]
    if len(lines) != n_rows:
        raise UserError(
            f"{file}, line {first}: {name!r} has {len(lines):,} lines and needs "
            f"{n_rows:,}, one for each feature of the data; name the data that the "
            "model was trained on"
        )
    if not any(line.strip() for line in lines):
        return np.zeros((n_rows, 0), np.float32)
    try:
        found = np.loadtxt(lines, np.float32, comments=None, ndmin=2)
    except ValueError as error:
        raise UserError(_found_by_line(file, first, str(error))) from None
    if len(found) != n_rows or not np.isfinite(found).all():
        raise UserError(
            f"{file}, line {first}: {name!r} holds an empty line or a number that is "
            "not finite; write the model again"
        )
    return found


def _found_by_line(file: Path, first: int, message: str) -> str:
    """Say what NumPy said of a row as the file has it."""
    what, _, where = message.partition(" at row ")
    number = re.match(r"\d+", where)
    row = int(number[0]) if number else 0
    if "columns changed" in what:  # NumPy counts these rows from 1, all others from 0
        row -= 1
    return f"{file}, line {first + row}: {what}; write the model again"
