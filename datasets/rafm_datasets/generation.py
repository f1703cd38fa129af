"""Raw files of generated data in the layouts of the sources, at any size."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from rafm_datasets.errors import DataError
from rafm_datasets.execute import Progress, silent
from rafm_datasets.files import replacing
from rafm_datasets.generators import Generator, load_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated file, and the loss its planted model has on its own rows.

    `planted_loss` is the mean log loss (criteo, avazu) or square loss (movielens) of
    a model that knows all that was planted: no model can expect to do better.
    """

    path: str
    rows: int
    planted_loss: float


def generate(
    layout: str, rows: int, seed: int, out: str, progress: Progress | None = None
) -> Generated:
    """Write a raw file of generated rows; the same bytes for the same arguments.

    Parameters
    ----------
    layout : str                       one of `generator_names()`
    rows : int                         >= 1
    seed : int
    out : str                          the file; packed when it ends in .gz
    progress : Progress or None

    Returns
    -------
    Generated

    Raises
    ------
    DataError                          no such layout, too few rows, file not writable
    """
    generator = load_generator(layout)
    if rows < 1:
        raise DataError(f"rows must be 1 or more, got {rows}")
    told = progress or silent
    loss = 0.0
    with replacing(Path(out)) as temporary, _opened(temporary, out) as file:
        done = 0
        for text, chunk_loss, n_rows in _chunks(generator, rows, seed):
            file.write(text)
            loss += chunk_loss
            done += n_rows
            told("generate", done, rows, "rows")
    return Generated(out, rows, loss / rows)


def _chunks(
    generator: Generator, rows: int, seed: int
) -> Iterator[tuple[bytes, float, int]]:
    """Make the text of each chunk, a few of them at once, in order."""
    model = generator.plant(seed)
    layout = generator.LAYOUT

    def make(first: int) -> tuple[bytes, float, int]:
        numbers = np.arange(first, min(first + _CHUNK_ROWS, rows))
        frame, loss = generator.frame(model, numbers)
        text = frame.write_csv(
            include_header=layout.header and first == 0,
            separator=layout.separator,
            null_value="",
        )
        return text.encode(), loss, len(numbers)

    workers = len(os.sched_getaffinity(0))
    waiting: deque[Future[tuple[bytes, float, int]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, rows, _CHUNK_ROWS):
            waiting.append(pool.submit(make, first))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextlib.contextmanager
def _opened(path: Path, out: str) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if not out.endswith(".gz"):
            yield file
            return
        # Without name and time, so that the bytes repeat.
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            yield cast("IO[bytes]", packed)
