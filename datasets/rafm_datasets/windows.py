"""Windows of an epoch, decoded ahead by several threads."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rafm_datasets.groups import Group, GroupReader
from rafm_datasets.stores import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from numpy.typing import NDArray

    from rafm_datasets.epoch_order import EpochOrder
    from rafm_datasets.prepared import PreparedData
    from rafm_datasets.reading import Reading
    from rafm_datasets.rows import Rows
    from rafm_datasets.stores import Store


class Window(NamedTuple):
    """Rows of a window in the order of the epoch: where each is in the store."""

    store: Store
    rows: NDArray[np.int64]

    def take(self, start: int, stop: int) -> Rows:
        """Give the rows start : stop of the window, as new arrays."""
        return self.store.take(self.rows[start:stop])


class _Coming(NamedTuple):
    store: Store
    rows: Future[NDArray[np.int64]]
    groups: list[Future[None]]

    def window(self) -> Window:
        for group in self.groups:
            group.result()
        return Window(self.store, self.rows.result())


class WindowLoader:
    """Starts the decoding of windows of one epoch in the threads of a pool."""

    def __init__(
        self,
        data: PreparedData,
        split: str,
        order: EpochOrder,
        reading: Reading,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._data, self._split, self._order = data, split, order
        self._reading, self._pool = reading, pool
        self._groups = GroupReader(data, split)

    def windows(self, first: int) -> Iterator[Window]:
        """Give the windows from number `first`; let go of one before the next.

        No more than 1 + `ahead` of them are in memory at a time.
        """
        numbers = iter(range(first, len(self._order.starts) - 1))
        ahead = itertools.islice(numbers, self._reading.ahead)
        coming = deque(self._start(number) for number in ahead)
        for number in numbers:
            coming.append(self._start(number))
            yield coming.popleft().window()
        while coming:
            yield coming.popleft().window()

    def _start(self, number: int) -> _Coming:
        table = self._order.window(number)
        sizes = table[:, 2].tolist()
        kept = self._reading.kept
        if kept is not None and kept.holds(self._data, self._split):
            store, filled = kept.store(self._split)
            firsts = table[:, 3].tolist()
        else:
            store, filled = make_store(self._data, sizes), set()
            firsts = [0, *itertools.accumulate(sizes)][: len(sizes)]
        groups = [
            self._pool.submit(self._decode, Group(*row[:3]), store, first, filled)
            for row, first in zip(table.tolist(), firsts, strict=True)
            if first not in filled
        ]
        rows = self._pool.submit(self._rows, number, sizes, firsts)
        return _Coming(store, rows, groups)

    def _decode(self, group: Group, store: Store, first: int, filled: set[int]) -> None:
        self._groups.decode(group, store, first)
        filled.add(first)

    def _rows(
        self, number: int, sizes: list[int], firsts: list[int]
    ) -> NDArray[np.int64]:
        pairs = zip(firsts, sizes, strict=True)
        in_files = np.concatenate([np.arange(at, at + size) for at, size in pairs])
        places = self._order.places(number)
        if places is None:
            return in_files
        rows = np.empty_like(in_files)
        rows[places] = in_files
        return rows
