"""Models of one rank as the text that libFM saves and loads (-save_model, -load_model).

Three parts, each below a line that begins with `#`: the bias, a line for each linear
weight, a line of blank-separated numbers for each embedding. Numbers are as short as
they can be and still come back as the same float. libFM cannot read an embedding of one
number itself. A block of lines is in memory at a time.
"""

from __future__ import annotations

import itertools
import re
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from rafm_bench.counts import level_counts
from rafm_bench.errors import UserError
from rafm_bench.job import TASK_LOSS
from rafm_bench.model_file import SavedModel
from rafm_kernels import FIELD_MODELS, make_model, tables, zero_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from rafm_datasets import PreparedData
    from rafm_kernels import RankLayout

BIAS = "#global bias W0"
LINEAR = "#unary interactions Wj"
EMBEDDINGS = "#pairwise interactions Vj,f"
BLOCK_NUMBERS = 1 << 18  # written or read at a time


class _Part(NamedTuple):
    """Lines of a part below its head: the number of the first, from 1, and how many.

    `width` is the numbers in the first line.
    """

    line: int
    n_lines: int
    width: int


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
    linear = parameters.linear[:, None]
    (table,) = tables(parameters, layout) or (linear[:, :0],)
    with file.open("wb") as handle:
        handle.write(f"{BIAS}\n{parameters.bias[0]!s}\n{LINEAR}\n".encode())
        _write_rows(handle, linear, layout)
        handle.write(f"{EMBEDDINGS}\n".encode())
        _write_rows(handle, table, layout)


def read(file: Path, like: PreparedData) -> SavedModel:
    """Read a model; as in `Format`; its loss is that of the data's task."""
    parts = _parts(file)
    n_features = like.n_features
    for name, part in parts.items():
        needed = 1 if name == BIAS else n_features
        if part.n_lines != needed:
            raise UserError(
                f"{file}, line {part.line}: {name!r} has {part.n_lines:,} lines and "
                f"needs {needed:,}, one for each feature of the data; name the data "
                "that the model was trained on"
            )
    width = parts[EMBEDDINGS].width
    model = make_model(
        "fm" if width else "lr",
        level_counts(like),
        (width,) if width else (),
        loss=TASK_LOSS[like.task],
    )
    parameters = zero_parameters(model.layout)
    linear = parameters.linear[:, None]
    (table,) = tables(parameters, model.layout) or (linear[:, :0],)
    targets = {BIAS: parameters.bias[:, None], LINEAR: linear, EMBEDDINGS: table}
    with file.open(encoding="ascii") as lines:
        for name in parts:  # in the order of the file; what libFM left out stays 0
            next(lines)
            _read_rows(file, lines, parts[name].line, targets[name])
    return SavedModel(model, parameters, like.fingerprint)


def _write_rows(
    handle: IO[bytes], rows: NDArray[np.floating], layout: RankLayout
) -> None:
    """Write the row of each feature as a line, each number as short as it can be."""
    n_rows, width = rows.shape
    for start, end in _blocks(n_rows, width):
        if not width:
            handle.write(b"\n" * (end - start))
            continue
        some = rows[layout.remap(np.arange(start, end))]
        pl.from_numpy(some).write_csv(handle, include_header=False, separator=" ")


def _blocks(n_rows: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut rows into blocks, of which one at a time is in memory as text."""
    step = max(1, BLOCK_NUMBERS // max(1, width))
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)


def _parts(file: Path) -> dict[str, _Part]:
    """Find the parts of a file, by the lines that they begin with."""
    heads: list[str] = []
    starts: list[int] = []
    widths: list[int] = []
    number = 0
    try:
        with file.open(encoding="ascii") as lines:
            for number, line in enumerate(lines, start=1):
                if line.startswith("#"):
                    heads.append(line.strip())
                    starts.append(number + 1)
                    widths.append(0)
                elif heads and number == starts[-1]:
                    widths[-1] = len(line.split())
    except UnicodeDecodeError:
        raise UserError(f"{file}: not a model of libFM, which is ASCII text") from None
    expected = [name for name in (BIAS, LINEAR, EMBEDDINGS) if name in heads]
    if heads != expected or EMBEDDINGS not in heads or starts[0] != 2:
        raise UserError(
            f"{file}: not a model of libFM, whose parts are {BIAS!r}, {LINEAR!r} and "
            f"{EMBEDDINGS!r}; this file has {heads or 'none of them'}"
        )
    ends = [*(start - 1 for start in starts[1:]), number + 1]
    return {
        name: _Part(start, end - start, width)
        for name, start, end, width in zip(heads, starts, ends, widths, strict=True)
    }


def _read_rows(
    file: Path, lines: Iterator[str], first: int, target: NDArray[np.floating]
) -> None:
    """Read the lines of a part, from line `first` on, into its array."""
    n_rows, width = target.shape
    for start, end in _blocks(n_rows, width):
        some, line = list(itertools.islice(lines, end - start)), first + start
        if not width or not some[0].strip():  # NumPy warns of a block without numbers
            _refuse_other_widths(file, line, some, width)
            continue
        try:
            found = np.loadtxt(some, np.float32, comments=None, ndmin=2)
        except ValueError as error:
            _refuse_other_widths(file, line, some, width)
            raise UserError(_found_by_line(file, line, str(error))) from None
        if found.shape != (end - start, width):
            _refuse_other_widths(file, line, some, width)
        if not np.isfinite(found).all():
            at = line + int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise UserError(
                f"{file}, line {at}: holds a number that is not finite; write the "
                "model again"
            )
        target[start:end] = found


def _refuse_other_widths(file: Path, first: int, lines: list[str], width: int) -> None:
    """Raise UserError for a line that does not hold `width` numbers."""
    for at, line in enumerate(lines, start=first):
        found = len(line.split())
        if found != width:
            raise UserError(
                f"{file}, line {at}: holds {found} numbers and needs {width}, as many "
                "as the lines above it; write the model again"
            )


def _found_by_line(file: Path, first: int, message: str) -> str:
    """Say what NumPy said of a row as the file has it."""
    what, _, where = message.partition(" at row ")
    number = re.match(r"\d+", where)
    row = int(number[0]) if number else 0
    return f"{file}, line {first + row}: {what}; write the model again"
