from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rafm_datasets import WINDOW_GROUPS, DataError, Rows, mixing, stream
from rafm_datasets.rows import cut, join, rechunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

N_TRAIN = 3000


def as_tuples(chunks: object) -> list[tuple[float, tuple[int, ...], tuple[float, ...]]]:
    rows = []
    for chunk in chunks:  # type: ignore[attr-defined]
        for r, label in enumerate(chunk.labels.tolist()):
            entries = slice(chunk.indptr[r], chunk.indptr[r + 1])
            values = (
                () if chunk.values is None else tuple(chunk.values[entries].tolist())
            )
            rows.append((label, tuple(chunk.ids[entries].tolist()), values))
    return rows


@pytest.fixture(scope="module")
def lists(prepare_into: Prepare, write_libfm: Callable[..., Path]) -> PreparedData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.schema.GROUP_ROWS", 64)
        patch.setattr("rafm_datasets.schema._GROUPS_PER_PARTITION", (1, 4))
        raw = write_libfm(N_TRAIN)
        return prepare_into("libfm", raw, fractions=(1.0, 0.0, 0.0))


def test_each_row_comes_once_an_epoch(lists: PreparedData) -> None:
    in_files = as_tuples(stream(lists, "train", 100))
    epoch = as_tuples(stream(lists, "train", 100, seed=3, epoch=2))
    assert len(epoch) == N_TRAIN
    assert sorted(epoch) == sorted(in_files)


def test_epochs_and_seeds_differ_and_repeat(lists: PreparedData) -> None:
    orders = {
        (seed, epoch): as_tuples(stream(lists, "train", 64, seed=seed, epoch=epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    assert as_tuples(stream(lists, "train", 77, seed=1, epoch=1)) == orders[1, 1]


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, N_TRAIN), chunk_rows=st.integers(1, 700))
def test_resuming_at_any_row_gives_the_tail(
    lists: PreparedData, start: int, chunk_rows: int
) -> None:
    whole = as_tuples(stream(lists, "train", 500, seed=9, epoch=1))
    tail = stream(lists, "train", chunk_rows, seed=9, epoch=1, start_row=start)
    assert as_tuples(tail) == whole[start:]


@pytest.mark.parametrize("chunk_rows", [1, 63, 64, 65, 512, 10_000])
def test_all_chunks_but_the_last_have_the_size_asked_for(
    lists: PreparedData, chunk_rows: int
) -> None:
    sizes = [len(c.labels) for c in stream(lists, "train", chunk_rows, seed=0)]
    assert sum(sizes) == N_TRAIN
    assert set(sizes[:-1]) <= {chunk_rows}
    assert 1 <= sizes[-1] <= chunk_rows


def test_reading_reads_only_the_windows_asked_for(
    lists: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rafm_datasets.groups import Group, GroupReader

    read: list[Group] = []
    whole = GroupReader.decode

    def counted(self: GroupReader, group: Group, store: Any, first: int) -> None:
        read.append(group)
        whole(self, group, store, first)

    monkeypatch.setattr(GroupReader, "decode", counted)
    list(stream(lists, "train", 10, seed=0, start_row=N_TRAIN - 10))
    assert 1 <= len(read) <= WINDOW_GROUPS


def test_an_abandoned_stream_stops_its_thread(lists: PreparedData) -> None:
    import threading

    chunks = stream(lists, "train", 10, seed=0)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if "read-ahead" in t.name]


def test_fields_of_entries_are_those_of_their_features(lists: PreparedData) -> None:
    for rows in stream(lists, "train", 1000, with_fields=True):
        assert rows.fields is not None
        assert rows.fields.tolist() == [0] * len(rows.ids)


@pytest.mark.parametrize(
    ("split", "chunk_rows", "start"),
    [("tset", 1, 0), ("train", 0, 0), ("train", 1, -1)],
)
def test_wrong_arguments_are_told(
    lists: PreparedData, split: str, chunk_rows: int, start: int
) -> None:
    with pytest.raises(DataError, match=r"train"):
        list(stream(lists, split, chunk_rows, start_row=start))


def test_an_empty_split_gives_no_chunk(lists: PreparedData) -> None:
    assert list(stream(lists, "valid", 10, seed=0)) == []


def test_mixing_of_a_shuffled_epoch_is_near_that_of_a_perfect_one(
    lists: PreparedData,
) -> None:
    figures = mixing(lists, "train", seed=5)
    assert abs(figures.displacement - 1 / 3) < 0.06
    assert abs(figures.label_autocorrelation) < 0.08
    assert abs(figures.raw_displacement - 1 / 3) < 0.03
    assert mixing(lists, "train", seed=None).displacement == 0


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(1, 12))
def test_rechunk_keeps_every_row_in_order(sizes: list[int], chunk_rows: int) -> None:
    blocks, first = [], 0
    for size in sizes:
        n = np.arange(first, first + size)
        indptr = np.concatenate([[0], np.cumsum(n % 3)])
        ids = np.repeat(n, n % 3).astype(np.int32)
        blocks.append(Rows(indptr, ids, None, None, n.astype(np.float32)))
        first += size
    chunks = list(rechunk(blocks, chunk_rows))
    assert [len(c.labels) for c in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert [n for c in chunks for n in c.labels.tolist()] == list(range(first))
    for chunk in chunks:
        for r, label in enumerate(chunk.labels.tolist()):
            assert chunk.ids[chunk.indptr[r] : chunk.indptr[r + 1]].tolist() == [
                int(label)
            ] * (int(label) % 3)


def test_join_undoes_cut() -> None:
    rows = Rows(
        np.array([0, 2, 2, 5]),
        np.arange(5, dtype=np.int32),
        np.arange(5, dtype=np.float32),
        np.zeros(5, np.int32),
        np.array([1, 0, 1], np.float32),
    )
    again = join([cut(rows, 0, 1), cut(rows, 1, 3)])
    for got, expected in zip(again, rows, strict=True):
        assert got is not None
        assert expected is not None
        assert got.tolist() == expected.tolist()
