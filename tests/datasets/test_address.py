"""Prepared data at an address of fsspec: brought there last, read as a folder is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from rafm_datasets import (
    DataError,
    EncodeOptions,
    PrepareOptions,
    encode_like,
    find_finished,
    open_prepared,
    plan_prepare,
    prepare,
    stream,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[..., Path]

TARGET = "memory://bucket/data"


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The file system of memory://, empty before and after."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def options(raw: Path, tmp_path: Path, **more: object) -> PrepareOptions:
    work = str(tmp_path / "work")
    return PrepareOptions("libfm", (str(raw),), TARGET, work=work, **more)  # type: ignore[arg-type]


def there(memory: fsspec.AbstractFileSystem) -> dict[str, bytes]:
    found = memory.find("/bucket/data")
    return {path.removeprefix("/bucket/data/"): memory.cat(path) for path in found}


def here(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.usefixtures("small_groups")
def test_what_is_prepared_at_an_address_is_what_is_prepared_in_a_folder(
    write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    raw = write_libfm(1000)
    told: list[tuple[object, ...]] = []
    data = prepare(options(raw, tmp_path), lambda *now: told.append(now))
    local = prepare(PrepareOptions("libfm", (str(raw),), str(tmp_path / "local")))
    assert there(memory) == here(tmp_path / "local")
    stage, done, total, unit = told[-1]
    assert (stage, done, unit) == ("upload", total, "bytes")
    assert not (tmp_path / "work").exists()
    opened = open_prepared(TARGET)
    assert opened == data
    assert str(opened.folder) == TARGET
    assert opened.fingerprint == local.fingerprint
    assert opened.frequencies().equals(local.frequencies())
    assert (opened.train_counts() == local.train_counts()).all()
    assert (opened.field_of_feature() == local.field_of_feature()).all()
    for seed in (None, 3):
        pairs = zip(
            stream(opened, "train", 100, seed=seed),
            stream(local, "train", 100, seed=seed),
            strict=True,
        )
        for found, expected in pairs:
            assert (found.ids == expected.ids).all()
            assert (found.labels == expected.labels).all()


def test_the_same_command_again_finds_it_and_does_nothing(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(300)
    asked = options(raw, tmp_path)
    assert find_finished(asked) is None
    data = prepare(asked)
    assert find_finished(asked) == data
    assert plan_prepare(asked).action == "nothing"
    stages: list[str] = []
    assert prepare(asked, lambda stage, *_: stages.append(stage)) == data
    assert stages == []
    with pytest.raises(DataError, match="was prepared already"):
        prepare(options(raw, tmp_path, seed=1))
    other = prepare(options(raw, tmp_path, seed=1, overwrite=True))
    assert other.fingerprint != data.fingerprint
    assert open_prepared(TARGET) == other
    assert verify(TARGET).problems == ()


class Broken(BaseException):
    """Stands for a kill: nothing may catch it and tidy up."""


@pytest.mark.parametrize("stage", ["encode", "upload"])
def test_a_run_broken_off_is_not_taken_for_finished_and_goes_on(
    stage: str, write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    raw = write_libfm(300)

    def fail(now: str, done: int, *_: object) -> None:
        if now == stage and (now != "upload" or done):
            raise Broken

    with pytest.raises(Broken):
        prepare(options(raw, tmp_path), fail)
    with pytest.raises(DataError, match="is half-written; finish it by running"):
        open_prepared(TARGET)
    stages: list[str] = []
    data = prepare(options(raw, tmp_path), lambda now, *_: stages.append(now))
    assert ("encode" in stages) == (stage == "encode")
    assert open_prepared(TARGET) == data
    assert verify(TARGET).sound
    assert ".prepare/preparing" not in there(memory)


def test_data_that_a_broken_run_was_to_replace_is_still_found(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(300)
    data = prepare(options(raw, tmp_path))

    def fail(*_: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        prepare(options(raw, tmp_path, seed=1, overwrite=True), fail)
    assert prepare(options(raw, tmp_path)) == data


def test_rows_set_aside_by_an_earlier_run_do_not_stay_at_the_address(
    write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    raw = write_libfm(300)
    sound = raw.read_text()
    raw.write_text(sound + "yes 4\n")
    prepare(options(raw, tmp_path, on_bad_row="quarantine"))
    assert "quarantine/part-00000.parquet" in there(memory)
    raw.write_text(sound)
    prepare(options(raw, tmp_path, overwrite=True))
    assert "quarantine/part-00000.parquet" not in there(memory)
    assert verify(TARGET).sound


def test_a_file_system_that_wants_folders_made_gets_them(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw, target = (str(write_libfm(300)),), f"local://{tmp_path}/new/data"
    asked = PrepareOptions("libfm", raw, target, work=str(tmp_path / "work"))
    data = prepare(asked)
    assert open_prepared(target) == data
    assert verify(target).sound


def test_two_runs_do_not_bring_the_same_files(
    write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    asked = options(write_libfm(300), tmp_path)
    met: list[str] = []

    def again(stage: str, done: int, *_: object) -> None:
        if stage == "upload" and not done:
            with pytest.raises(DataError, match="is being prepared by process"):
                prepare(asked)
            met.append(stage)

    prepare(asked, again)
    assert met
    assert ".prepare/preparing" not in there(memory)


def test_other_files_at_the_address_are_left_alone(
    write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe("/bucket/data/thesis.txt", b"precious")
    with pytest.raises(DataError, match="holds other files than prepared data"):
        prepare(options(write_libfm(50), tmp_path, overwrite=True))
    assert there(memory) == {"thesis.txt": b"precious"}


def test_an_address_that_cannot_be_reached_is_told_before_any_work(
    write_libfm: Write, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    raw = str(write_libfm(50))
    unknown = PrepareOptions("libfm", (raw,), "nowhere://bucket/data")
    with pytest.raises(DataError, match="cannot reach nowhere://bucket/data"):
        prepare(unknown)
    with pytest.raises(DataError, match="does not exist"):
        open_prepared("memory://bucket/missing")
    with pytest.raises(DataError, match="work is for an out that is an address"):
        PrepareOptions("libfm", (raw,), str(tmp_path), work="elsewhere")
    with pytest.raises(DataError, match="work must be a local folder, got memory://"):
        PrepareOptions("libfm", (raw,), TARGET, work="memory://work")


def test_a_file_address_is_a_local_folder(write_libfm: Write, tmp_path: Path) -> None:
    raw = (str(write_libfm(50)),)
    data = prepare(PrepareOptions("libfm", raw, f"file://{tmp_path}/data"))
    assert data.folder == tmp_path / "data"
    assert open_prepared(f"file://{tmp_path}/data") == data


def test_the_default_place_of_the_work_is_named_by_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_libfm: Write
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    raw = (str(write_libfm(300)),)

    def fail(stage: str, *_: object) -> None:
        if stage == "encode":
            raise Broken

    for address in (TARGET, "memory://bucket/other", TARGET):
        with pytest.raises(Broken):
            prepare(PrepareOptions("libfm", raw, address), fail)
    assert len(list((tmp_path / "rafm-bench" / "prepare").iterdir())) == 2
    assert plan_prepare(PrepareOptions("libfm", raw, TARGET)).action == "resume"


def test_new_rows_are_encoded_like_data_at_an_address(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(300)
    data = prepare(options(raw, tmp_path))
    out = tmp_path / "new.parquet"
    encoded = encode_like(EncodeOptions("libfm", (str(raw),), TARGET, str(out)))
    assert encoded.data_fingerprint == data.fingerprint
    assert encoded.rows == 300
