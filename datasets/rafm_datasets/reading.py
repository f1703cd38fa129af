"""How rows are read, which never changes what is read; and what reading takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rafm_datasets.epoch_order import group_table
from rafm_datasets.errors import DataError
from rafm_datasets.groups import COLUMNS_AT_ONCE
from rafm_datasets.prepared import check_split
from rafm_datasets.stores import make_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rafm_datasets.prepared import PreparedData
    from rafm_datasets.stores import Store

_BYTES = 4  # of an id, a value, a label
_PLACE_BYTES = 8  # of a row's place, of a row's first entry
_PERMUTING_BYTES = 32  # a row, while the places of a window are drawn
CHUNKS_AT_ONCE = 3  # with the caller, waiting, and in the making


class Kept:
    """Decoded row groups of some splits, kept from epoch to epoch.

    What the first epoch decodes is there for the next ones; memory grows to
    `decoded_bytes` of each split.
    """

    def __init__(self, data: PreparedData, splits: Sequence[str]) -> None:
        self._folder = data.folder
        self._stores: dict[str, Store] = {}
        self._filled: dict[str, set[int]] = {}
        for split in splits:
            groups = group_table(data, check_split(data, split))
            self._stores[split] = make_store(data, groups[:, 2].tolist())
            self._filled[split] = set()

    def holds(self, data: PreparedData, split: str) -> bool:
        """Tell whether the row groups of a split are kept here."""
        return split in self._stores and data.folder == self._folder

    def store(self, split: str) -> tuple[Store, set[int]]:
        """Give the store of a split, and the first rows of the groups in it so far."""
        return self._stores[split], self._filled[split]


@dataclass(frozen=True, slots=True)
class Reading:
    """Threads, windows ahead, and what is kept: no choice of it changes a row.

    `n_threads` decode one window together; `ahead` windows are decoded before they are
    needed, 0 for the least memory; `kept` holds decoded row groups for later epochs.
    """

    n_threads: int = 1
    ahead: int = 1
    kept: Kept | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.n_threads < 1 or self.ahead < 0:
            raise DataError(
                f"reading needs 1 thread or more and 0 windows ahead or more, got "
                f"{self.n_threads} and {self.ahead}"
            )


def decoded_bytes(data: PreparedData, split: str) -> int:
    """Bytes that a split takes once decoded, as `Kept` holds it.

    Parameters
    ----------
    data : PreparedData
    split : str

    Returns
    -------
    int
    """
    return _bytes_of(data, split, data.rows(split))


def window_bytes(data: PreparedData, split: str, window_groups: int) -> int:
    """Bytes of the largest window of `window_groups` row groups, decoded.

    Parameters
    ----------
    data : PreparedData
    split : str
    window_groups : int

    Returns
    -------
    int                                with the places of its rows
    """
    n_rows = _window_rows(data, split, window_groups)
    return _bytes_of(data, split, n_rows) + _PLACE_BYTES * n_rows


def stream_bytes(
    data: PreparedData,
    split: str,
    chunk_rows: int,
    window_groups: int,
    reading: Reading,
    *,
    kept: bool = False,
) -> int:
    """Bytes that `stream` takes at most, with the row groups kept or not.

    Parameters
    ----------
    data : PreparedData
    split : str
    chunk_rows, window_groups : int
    reading : Reading                  its threads and windows ahead
    kept : bool                        whether decoded row groups are to be kept; then
                                       these are counted too

    Returns
    -------
    int                                windows, chunks and what decoding takes meanwhile
    """
    n_rows = _window_rows(data, split, window_groups)
    chunk = _bytes_of(data, split, min(chunk_rows, data.rows(split)))
    group_rows = min(data.manifest.row_group_rows, n_rows)
    group = _bytes_of(data, split, group_rows) * _share_decoded_at_once(data)
    windows = (1 + reading.ahead) * window_bytes(data, split, window_groups)
    if kept:
        places = (1 + reading.ahead) * _PLACE_BYTES * n_rows
        windows = decoded_bytes(data, split) + places
    permuting = _PERMUTING_BYTES * n_rows
    return int(windows + CHUNKS_AT_ONCE * chunk + reading.n_threads * group + permuting)


def _window_rows(data: PreparedData, split: str, window_groups: int) -> int:
    return min(window_groups * data.manifest.row_group_rows, data.rows(split))


def _share_decoded_at_once(data: PreparedData) -> float:
    """Tell how much of a row group a thread holds while it decodes it."""
    if data.manifest.layout == "lists":
        return 1.0
    return min(1.0, 1.5 * COLUMNS_AT_ONCE / (1 + len(data.fields)))


def _bytes_of(data: PreparedData, split: str, n_rows: int) -> int:
    """Bytes of rows in memory, with as many entries a row as the split has on average.

    The first entry of each row is told where rows differ in length.
    """
    whole = data.manifest.splits[split]
    n_entries = -(-whole.entries * n_rows // max(whole.rows, 1))
    weighted = data.manifest.layout == "lists" and not data.manifest.unit_values
    index = _PLACE_BYTES if data.manifest.layout == "lists" else 0
    return n_entries * _BYTES * (1 + weighted) + n_rows * (_BYTES + index)
