"""Rows do not depend on how they are read; memory and errors of reading them."""

from __future__ import annotations

import gc
import shutil
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rafm_datasets import (
    DataError,
    Kept,
    Reading,
    decoded_bytes,
    generate,
    open_prepared,
    rows_of_shard,
    stores,
    stream,
    stream_bytes,
    window_bytes,
)
from rafm_datasets.epoch_order import group_table
from rafm_datasets.groups import GroupReader
from rafm_datasets.order import permutation, stream_key
from rafm_datasets.rows import join

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData, Rows

    Prepare = Callable[..., PreparedData]

N_ROWS = 3000


@pytest.fixture(scope="module", params=["columns", "lists", "lists without values"])
def data(
    request: pytest.FixtureRequest,
    prepare_into: Prepare,
    write_libfm: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> PreparedData:
    """Row groups of 64 rows, in both layouts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.schema.GROUP_ROWS", 64)
        patch.setattr("rafm_datasets.schema._GROUPS_PER_PARTITION", (1, 4))
        if request.param == "columns":
            raw = tmp_path_factory.mktemp("raw") / "clicks.tsv"
            generate("criteo", N_ROWS, 0, str(raw))
            return prepare_into("criteo", raw, fractions=(1.0, 0.0, 0.0))
        raw = write_libfm(N_ROWS)
        if "without" in request.param:
            lines = (line.split() for line in raw.read_text().splitlines())
            bare = [" ".join([y, *(e.split(":")[0] for e in x)]) for y, *x in lines]
            raw = tmp_path_factory.mktemp("raw") / "bare.libfm"
            raw.write_text("\n".join(bare) + "\n")
        return prepare_into("libfm", raw, fractions=(1.0, 0.0, 0.0))


@pytest.fixture
def columns(prepare_into: Prepare, small_groups: None, tmp_path: Path) -> PreparedData:
    """Data of its own, to be damaged."""
    generate("criteo", 1000, 0, str(tmp_path / "clicks.tsv"))
    return prepare_into("criteo", tmp_path / "clicks.tsv", fractions=(1.0, 0.0, 0.0))


def whole(data: PreparedData, chunk_rows: int = 100, **how: Any) -> Rows:
    return join(list(stream(data, "train", chunk_rows, **how)))


def assert_same(got: Rows, expected: Rows) -> None:
    for one, other in zip(got, expected, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_rows_do_not_depend_on_threads_windows_ahead_or_what_is_kept(
    data: PreparedData, n_threads: int, ahead: int, kept: bool
) -> None:
    reading = Reading(n_threads, ahead, Kept(data, ["train"]) if kept else None)
    for epoch in (0, 1):
        expected = whole(data, 333, seed=5, epoch=epoch)
        assert_same(whole(data, seed=5, epoch=epoch, reading=reading), expected)


def test_an_epoch_is_row_groups_permuted_and_rows_permuted_in_windows_of_eight(
    data: PreparedData,
) -> None:
    """The order, written out once more: it must never change."""
    in_files = whole(data).labels
    groups = group_table(data, "train")
    groups = groups[permutation(stream_key(7, "groups", 2), len(groups))]
    expected = []
    for window, start in enumerate(range(0, len(groups), 8)):
        rows = [in_files[first : first + n] for *_, n, first in groups[start:][:8]]
        labels = np.concatenate(rows)
        moved = np.empty_like(labels)
        moved[permutation(stream_key(7, "window", 2, window), len(labels))] = labels
        expected.append(moved)
    got = whole(data, seed=7, epoch=2).labels
    np.testing.assert_array_equal(got, np.concatenate(expected))


def test_windows_of_other_sizes_are_other_orders_of_the_same_rows(
    data: PreparedData,
) -> None:
    orders = [whole(data, seed=1, window_groups=n).ids.tolist() for n in (1, 2, 8, 99)]
    assert len(set(map(tuple, orders))) == 4
    assert len({tuple(sorted(order)) for order in orders}) == 1


@pytest.mark.parametrize("n", [1, 2, 5])
def test_shards_share_the_rows_of_an_epoch_among_them(
    data: PreparedData, n: int
) -> None:
    order: dict[str, Any] = {"seed": 4, "epoch": 1}
    parts = [whole(data, shard=(s, n), **order) for s in range(n)]
    counts = [rows_of_shard(data, "train", (s, n), **order) for s in range(n)]
    assert [len(part.labels) for part in parts] == counts
    assert sum(counts) == N_ROWS
    ids = np.sort(np.concatenate([part.ids for part in parts]))
    np.testing.assert_array_equal(ids, np.sort(whole(data).ids))


def test_the_only_shard_is_the_whole_epoch(data: PreparedData) -> None:
    assert_same(whole(data, seed=2, shard=(0, 1)), whole(data, seed=2))


def test_a_shard_without_a_row_group_gives_no_chunk(data: PreparedData) -> None:
    assert not list(stream(data, "train", 10, seed=0, shard=(999, 1000)))


@pytest.mark.parametrize(
    "how", [{"window_groups": 0}, {"shard": (2, 2)}, {"shard": (-1, 2)}]
)
def test_windows_and_shards_that_do_not_exist_are_refused(
    data: PreparedData, how: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="cannot read train"):
        whole(data, **how)


def test_reading_needs_a_thread_and_no_fewer_than_no_windows_ahead() -> None:
    for numbers in ((0, 1), (1, -1)):
        with pytest.raises(DataError, match="1 thread or more"):
            Reading(*numbers)


def test_what_is_kept_is_decoded_once(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    really = GroupReader.decode

    def counted(self: GroupReader, group: Any, store: Any, first: int) -> None:
        decoded.append(first)
        really(self, group, store, first)

    monkeypatch.setattr(GroupReader, "decode", counted)
    reading = Reading(2, 1, Kept(data, ["train"]))
    for epoch in (0, 1):
        whole(data, seed=0, epoch=epoch, reading=reading)
    assert sorted(decoded) == group_table(data, "train")[:, 3].tolist()


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_no_more_windows_are_in_memory_than_one_and_those_ahead(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0
    make = stores.make_store

    def counted(*arguments: Any) -> Any:
        nonlocal most
        store = make(*arguments)
        alive.add(store)
        most = max(most, len(alive))
        return store

    monkeypatch.setattr("rafm_datasets.windows.make_store", counted)
    gc.disable()  # what is let go is free at once, not when cycles are looked for
    try:
        for epoch in range(3):
            whole(data, 50, seed=0, epoch=epoch, reading=Reading(2, ahead))
            assert most == 1 + ahead
            assert not alive
    finally:
        gc.enable()


def test_decoded_bytes_are_those_of_the_arrays(data: PreparedData) -> None:
    rows = whole(data)
    nbytes = rows.ids.nbytes + rows.labels.nbytes
    if data.manifest.layout == "lists":  # in columns every row is as long as the next
        nbytes += rows.indptr.nbytes - 8
        nbytes += 0 if rows.values is None else rows.values.nbytes
    assert decoded_bytes(data, "train") == nbytes


def test_a_window_of_all_groups_takes_what_is_decoded_and_the_places_of_rows(
    data: PreparedData,
) -> None:
    everything = decoded_bytes(data, "train") + 8 * N_ROWS
    assert window_bytes(data, "train", 10**6) == everything
    assert window_bytes(data, "train", 1) < everything / 30


def test_a_stream_takes_more_for_more_windows_ahead_and_least_of_all_for_none(
    data: PreparedData,
) -> None:
    sizes = [stream_bytes(data, "train", 64, 8, Reading(1, n)) for n in (0, 1, 2)]
    assert np.diff(sizes).tolist() == [window_bytes(data, "train", 8)] * 2
    kept = stream_bytes(data, "train", 64, 8, Reading(), kept=True)
    assert kept > decoded_bytes(data, "train")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_partition_that_is_gone_is_told(
    columns: PreparedData, n_threads: int
) -> None:
    (columns.folder / "train" / "part-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"part-00001\.parquet: there is no such file"):
        whole(columns, seed=0, reading=Reading(n_threads))


def test_a_page_that_is_damaged_is_told(columns: PreparedData) -> None:
    file = columns.folder / "train" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[200:1200] = bytes(b ^ 0xFF for b in content[200:1200])
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*part-00001") as caught:
        whole(columns, seed=0)
    assert "\n" not in str(caught.value)
    assert "rafm-bench verify" in str(caught.value)


@pytest.mark.parametrize("kept_bytes", [0, 3, 5000])
def test_a_file_that_is_cut_short_is_told(
    columns: PreparedData, kept_bytes: int
) -> None:
    file = columns.folder / "train" / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:kept_bytes])
    with pytest.raises(DataError, match=r"cannot read .*part-00000"):
        whole(columns)


def test_a_partition_of_other_rows_is_told(columns: PreparedData) -> None:
    folder = columns.folder / "train"
    last = sorted(folder.iterdir())[-1]
    shutil.copyfile(last, folder / "part-00000.parquet")
    with pytest.raises(DataError, match="the manifest tells of"):
        whole(columns)


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_an_id_that_the_data_does_not_have_is_told(
    columns: PreparedData, bad: int
) -> None:
    file = columns.folder / "train" / "part-00000.parquet"
    table = pq.read_table(file)
    number = table.column_names.index("C3")
    ids = table["C3"].to_numpy().copy()
    ids[17] = bad
    table = table.set_column(number, "C3", pa.array(ids))
    pq.write_table(table, file, row_group_size=64)
    with pytest.raises(DataError, match=r"part-00000.*column 'C3' holds ids"):
        whole(columns)


def test_a_partition_without_a_column_is_told(columns: PreparedData) -> None:
    file = columns.folder / "train" / "part-00000.parquet"
    pq.write_table(pq.read_table(file).drop(["C3"]), file, row_group_size=64)
    with pytest.raises(DataError, match=r"part-00000.*C3"):
        whole(open_prepared(columns.folder))
