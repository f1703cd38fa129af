"""How raw files are named: folders, globs, archives, remote addresses."""

from __future__ import annotations

import gzip
import io
import tarfile
import uuid
import zipfile
from typing import TYPE_CHECKING

import fsspec
import pytest

from rafm_datasets import DataError, PrepareOptions, find_finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

HEADER = "userId,movieId,rating,timestamp\n"
RATINGS = HEADER + "".join(f"{i % 7},{i % 11},{i % 5 + 1},{i}\n" for i in range(200))
TEXT = RATINGS.encode()


@pytest.fixture
def plain(prepare_into: Prepare, tmp_path: Path) -> PreparedData:
    path = tmp_path / "ratings.csv"
    path.write_bytes(TEXT)
    return prepare_into("movielens", path)


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return file.getvalue()


def tarred(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT))
    return file.getvalue()


PACKED = {
    "ratings.csv": TEXT,
    "ratings.csv.gz": gzip.compress(TEXT),
    "ml.zip": zipped("ml/README.txt", "ml/ratings.csv", "__MACOSX/ml/._ratings.csv"),
    "ml.tar.gz": tarred("ml/ratings.csv"),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_remote_address_gives_the_data_of_the_local_file(
    name: str, plain: PreparedData, prepare_into: Prepare, tmp_path: Path
) -> None:
    address = f"memory://{uuid.uuid4()}/{name}"
    with fsspec.open(address, "wb") as file:
        file.write(PACKED[name])
    local = tmp_path / "files" / name
    local.parent.mkdir()
    local.write_bytes(PACKED[name])
    for raw in (address, f"file://{local}", local):
        data = prepare_into("movielens", raw)
        assert data.fingerprint == plain.fingerprint
        assert [item.name for item in data.manifest.raw_files] == [name]
        again = PrepareOptions("movielens", (str(raw),), str(data.folder))
        assert find_finished(again) == data


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("place", ["local", "remote"])
def test_the_days_of_criteo_are_taken_from_a_folder_in_their_order(
    packed: bool, place: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    folder = f"memory://{uuid.uuid4()}" if place == "remote" else str(tmp_path / "days")
    (tmp_path / "days").mkdir()
    lines = ["\t".join([str(i % 2), *[str(i)] * 13, *["ab"] * 26]) for i in range(220)]
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    whole = prepare_into("criteo", tmp_path / "train.txt")
    for day in range(22):  # 10 follows 9, not 1
        name = f"{folder}/day_{day}" + (".gz" if packed else "")
        text = ("\n".join(lines[10 * day : 10 * day + 10]) + "\n").encode()
        with fsspec.open(name, "wb") as file:
            file.write(gzip.compress(text) if packed else text)
    data = prepare_into("criteo", folder)
    assert len(data.manifest.raw_files) == 22
    assert data.fingerprint == whole.fingerprint
    files = f"{folder}/day_?{'.gz' if packed else ''}"
    files += f",{folder}/day_??{'.gz' if packed else ''}"
    assert prepare_into("criteo", files).fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("memory://nowhere/a.csv", "there is no file memory://nowhere/a.csv; check"),
        ("memory://nowhere/*.csv", r"there is no file memory://nowhere/\*.csv; check"),
        ("nosuch://a.csv", "cannot reach nosuch://a.csv: Protocol not known: nosuch"),
        ("driverless://a", "cannot read driverless://a: get driverfs; install that"),
    ],
)
def test_an_address_that_cannot_be_read_is_told(
    address: str, reason: str, prepare_into: Prepare
) -> None:
    fsspec.register_implementation(
        "driverless", "no_such_driver.FS", clobber=True, errtxt="get driverfs"
    )
    with pytest.raises(DataError, match=reason) as caught:
        prepare_into("movielens", address)
    assert "\n" not in str(caught.value)


def test_a_final_block_of_reviews_counts_when_ids_score_and_time_are_whole(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    block = (
        "product/productId: B003AI2VGA\nreview/userId: A141HP4LYPWMSR\n"
        "review/score: 3.0\nreview/time: 1182729600\n"
    )
    path = tmp_path / "movies.txt"
    for rest in ("", "review/summary: cut", "review/summary: a\nreview/text: cut of"):
        path.write_text(f"{block}review/text: whole\n\n{block}{rest}")
        data = prepare_into("amazon", path)
        assert sum(map(data.rows, data.splits)) == 2
