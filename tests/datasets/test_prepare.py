"""`prepare` as a whole: finished, half-written, killed, resumed, refused."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rafm_datasets import (
    DataError,
    PrepareOptions,
    find_finished,
    open_prepared,
    prepare,
)
from rafm_datasets.files import sha256_of
from rafm_datasets.job import run_stage
from rafm_datasets.pools import open_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rafm_datasets import PreparedData
    from rafm_datasets.job import Job, Task
    from rafm_datasets.pools import Pool

    Prepare = Callable[..., PreparedData]
    Write = Callable[..., Path]

MANY_CHUNKS = 8 << 10


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch, small_groups: None) -> None:
    """Chunks of 8 KiB, however much memory there is."""
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (MANY_CHUNKS, MANY_CHUNKS))


def tree(folder: Path) -> dict[str, str]:
    """All files under a folder with their hashes."""
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_prepared_folder_holds_what_its_manifest_says(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    data = prepare_into("libfm", write_libfm(1000), seed=4, min_count=2)
    content = json.loads((data.folder / "manifest.json").read_text())
    assert content["schema_version"] == 1
    assert content["seed"] == 4
    assert content["parameters"]["min_count"] == 2
    assert sum(split["rows"] for split in content["splits"].values()) == 1000
    listed = {
        f["name"]: f["sha256"] for s in content["splits"].values() for f in s["files"]
    }
    listed["frequencies.parquet"] = content["frequencies"]["sha256"]
    found = tree(data.folder)
    del found["manifest.json"]
    assert found == listed
    assert open_prepared(data.folder) == data
    assert open_prepared(str(data.folder)).fingerprint == data.fingerprint


def test_the_same_command_again_does_nothing(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    raw = write_libfm(200)
    data = prepare_into("libfm", raw)
    options = PrepareOptions("libfm", (str(raw),), str(data.folder))
    stages: list[str] = []
    again = prepare(options, lambda stage, *_: stages.append(stage))
    assert again == data
    assert stages == []
    assert find_finished(options) == data


def test_other_parameters_are_refused_unless_told_to_overwrite(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    raw = write_libfm(200)
    data = prepare_into("libfm", raw)
    with pytest.raises(DataError, match="--overwrite"):
        prepare_into("libfm", raw, out=data.folder, seed=1)
    other = prepare_into("libfm", raw, out=data.folder, seed=1, overwrite=True)
    assert other.manifest.seed == 1
    assert other.fingerprint != data.fingerprint


def test_a_changed_raw_file_is_not_taken_for_the_old_one(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    raw = write_libfm(200)
    data = prepare_into("libfm", raw)
    text = raw.read_text()
    for changed in (text + "1 1:1\n", "1" + text[1:], "0" + text[1:]):
        raw.write_text(changed)
        if changed == text:  # touched only
            assert prepare_into("libfm", raw, out=data.folder) == data
            continue
        with pytest.raises(DataError, match="other raw files"):
            prepare_into("libfm", raw, out=data.folder)


def test_a_folder_of_something_else_is_left_alone(
    prepare_into: Prepare, write_libfm: Write, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="holds other files"):
            prepare_into("libfm", write_libfm(9), out=tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_output_does_not_depend_on_chunks_workers_memory_or_packing(
    prepare_into: Prepare,
    write_libfm: Write,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    import gzip

    raw = write_libfm(2000)
    whole = tree(prepare_into("libfm", raw, threads=1).folder)
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (3000, 3000))
    monkeypatch.setattr("rafm_datasets.vocabulary._BYTES_PER_ENTRY", 1 << 20)
    in_parts = prepare_into("libfm", raw, threads=3, memory_limit=1 << 30)
    assert tree(in_parts.folder) == whole
    packed = tmp_path / "data.libfm.gz"
    packed.write_bytes(gzip.compress(raw.read_bytes()))
    from_packed = tree(prepare_into("libfm", packed).folder)
    del from_packed["manifest.json"], whole["manifest.json"]
    assert from_packed == whole


class Killed(BaseException):
    """Stands for a kill: nothing may catch it and tidy up."""


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("stage", ["parse", "merge", "number", "encode", "write"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_broken_off_in_any_stage_resumes_to_the_same_bytes(
    stage: str, after: int, write_libfm: Write, tmp_path: Path
) -> None:
    raw = write_libfm(2000)
    options = PrepareOptions("libfm", (str(raw),), str(tmp_path / "out"), threads=1)
    seen: list[int] = []

    def kill(now: str, done: int, total: int | None, unit: str) -> None:
        if now == stage:
            seen.append(done)
            if len(seen) > after:
                raise Killed

    try:
        prepare(options, kill)
        assert stage in ("merge", "number")  # they have fewer tasks than that
    except Killed:
        with pytest.raises(DataError, match="half-written"):
            open_prepared(tmp_path / "out")
    stages: dict[str, list[int]] = {}
    prepare(options, lambda now, done, *_: stages.setdefault(now, []).append(done))
    straight = PrepareOptions("libfm", (str(raw),), str(tmp_path / "straight"))
    prepare(straight)
    assert tree(tmp_path / "out") == tree(tmp_path / "straight")
    if stage == "write" and after:
        assert stages["write"][0] >= after  # and one more if it ran at that moment
        assert stages["encode"] == [stages["encode"][0]]


KILLED = """
import os, sys
from pathlib import Path
from rafm_datasets import PrepareOptions, budget, prepare, schema

budget.CHUNK_BYTES = (8192, 8192)
schema.GROUP_ROWS, schema._GROUPS_PER_PARTITION = 64, (1, 4)
raw, out, at = sys.argv[1:]
left = iter(range(int(at)))
replace = Path.replace

def dying(path, target):
    if next(left, None) is None:
        os._exit(9)
    return replace(path, target)

Path.replace = dying
prepare(PrepareOptions("libfm", (raw,), out, threads=2))
"""


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("at", [3, 15, 30, 45])
def test_a_process_killed_at_any_write_resumes_to_the_same_bytes(
    at: int, write_libfm: Write, tmp_path: Path
) -> None:
    raw = str(write_libfm(2000))
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, raw, str(out), str(at)]
    assert subprocess.run(command, check=False).returncode == 9
    with pytest.raises(DataError, match="half-written"):
        open_prepared(out)
    prepare(PrepareOptions("libfm", (raw,), str(out), threads=2))
    straight = PrepareOptions("libfm", (raw,), str(tmp_path / "straight"))
    assert tree(out) == tree(prepare(straight).folder)


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("plan", ["", "{}", None])
def test_work_files_of_before_a_crash_of_the_machine_are_not_trusted(
    plan: str | None, write_libfm: Write, tmp_path: Path
) -> None:
    raw, out = str(write_libfm(2000)), tmp_path / "out"
    command = [sys.executable, "-c", KILLED, raw, str(out), "50"]
    assert subprocess.run(command, check=False).returncode == 9
    path = out / ".prepare" / "plan.json"
    if plan is None:
        plan = json.dumps({**json.loads(path.read_text()), "boot": "another"})
    path.write_text(plan)
    for torn in (out / ".prepare").glob("*.rows"):
        torn.write_bytes(b"")
    options = PrepareOptions("libfm", (raw,), str(out), threads=2)
    straight = PrepareOptions("libfm", (raw,), str(tmp_path / "straight"))
    assert tree(prepare(options).folder) == tree(prepare(straight).folder)


def test_an_unfinished_run_with_other_parameters_is_refused(
    write_libfm: Write, tmp_path: Path
) -> None:
    raw = str(write_libfm(200))

    def kill(stage: str, *_: object) -> None:
        if stage == "encode":
            raise Killed

    with pytest.raises(Killed):
        prepare(PrepareOptions("libfm", (raw,), str(tmp_path / "out")), kill)
    with pytest.raises(DataError, match="unfinished run with other parameters"):
        prepare(PrepareOptions("libfm", (raw,), str(tmp_path / "out"), seed=5))
    other = PrepareOptions(
        "libfm", (raw,), str(tmp_path / "out"), seed=5, overwrite=True
    )
    assert prepare(other).manifest.seed == 5


def test_a_run_refused_at_once_does_not_stand_in_the_way_of_the_mended_one(
    write_libfm: Write, tmp_path: Path
) -> None:
    (tmp_path / "bad.libfm").write_text("yes 1:1\n")
    out = str(tmp_path / "out")
    with pytest.raises(DataError, match="line 1: label 'yes'"):
        prepare(PrepareOptions("libfm", (str(tmp_path / "bad.libfm"),), out))
    prepared = prepare(PrepareOptions("libfm", (str(write_libfm(200)),), out))
    assert prepared.rows("train") > 0


def test_what_another_run_finished_meanwhile_is_not_done_again(
    write_libfm: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PrepareOptions("libfm", (str(write_libfm(50)),), str(tmp_path / "out"))

    @contextlib.contextmanager
    def late(asked: PrepareOptions) -> Iterator[Pool]:
        monkeypatch.setattr("rafm_datasets.pipeline.open_pool", open_pool)
        prepare(options)
        with open_pool(asked) as pool:
            yield pool

    monkeypatch.setattr("rafm_datasets.pipeline.open_pool", late)
    stages: list[str] = []
    data = prepare(options, lambda stage, *_: stages.append(stage))
    assert stages == []
    assert data == open_prepared(tmp_path / "out")
    assert not (tmp_path / "out" / ".prepare").exists()


def test_what_a_killed_run_had_half_written_does_not_stay(
    write_libfm: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    left = [out / ".frequencies.parquet.0a.tmp", out / "train" / ".part.0a.tmp"]

    def kill(stage: str, *_: object) -> None:
        if stage == "write":
            for path in left:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"half")

    prepare(PrepareOptions("libfm", (str(write_libfm(50)),), str(out)), kill)
    assert not any(name.endswith(".tmp") for name in tree(out))


@pytest.mark.usefixtures("small_groups")
def test_no_more_partitions_are_written_at_once_than_the_largest_allow(
    write_libfm: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int | None] = []

    def run(job: Job, stage: str, unit: str, tasks: Sequence[Task], *at: int) -> None:
        found.extend(at)
        run_stage(job, stage, unit, tasks, *at)

    monkeypatch.setattr("rafm_datasets.passes.run_stage", run)
    for fractions in ((0.98, 0.01, 0.01), (1.0, 0.0, 0.0)):
        out = str(tmp_path / str(fractions[0]))
        raw = (str(write_libfm(400)),)
        prepare(PrepareOptions("libfm", raw, out, fractions=fractions))
    with_small_ones, without = found
    assert with_small_ones == pytest.approx(without, rel=0.1)


def test_two_runs_into_one_folder_at_once_are_refused(
    write_libfm: Write, tmp_path: Path
) -> None:
    options = PrepareOptions("libfm", (str(write_libfm(200)),), str(tmp_path / "out"))
    messages: list[str] = []

    def second(stage: str, *_: object) -> None:
        if not messages:
            with pytest.raises(DataError) as caught:
                prepare(options)
            messages.append(str(caught.value))

    prepare(options, second)
    assert f"is being prepared by process {os.getpid()} on " in messages[0]


def test_what_a_file_must_not_be_is_told_in_one_sentence(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    import gzip

    (tmp_path / "empty").write_text("")
    (tmp_path / "blank").write_text("\n\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1 2:3\n" * 9999)[:-30])
    (tmp_path / "not.gz").write_bytes(b"1 2:3\n")
    (tmp_path / "not.zip").write_bytes(b"1 2:3\n")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a", "1 2")
        archive.writestr("b", "1 2")
    whole = (tmp_path / "two.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    expected = {
        "missing": "there is no file",
        "empty": "is empty",
        "blank": "no row of",
        "cut.gz": "is damaged or cut short after line",
        "not.gz": "is damaged or cut short",
        "not.zip": "is damaged or cut short",
        "cut.zip": "is damaged or cut short",
        "two.zip": "does not hold a single file",
    }
    for name, reason in expected.items():
        with pytest.raises(DataError, match=reason) as caught:
            prepare_into("libfm", tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fractions": (0.5, 0.1, 0.1)}, r"sum to 1, got 0.5,0.1,0.1 \(sum 0.7\)"),
        ({"fractions": (1.5, -0.5, 0.0)}, "none negative"),
        ({"fractions": (0.0, 0.5, 0.5)}, "the first above 0"),
        ({"min_count": 0}, "min_count must be 1 or more, got 0"),
        ({"field_min_counts": {"feature": 0}}, "min_count of field feature must be 1"),
        ({"field_min_counts": {"C1": 2}}, "names a field 'C1' that the data does not"),
        ({"period": "1d"}, "period is for a split that is time, not random; leave it"),
        ({"holdout": (1, 1)}, "holdout is for a split that is time, not random"),
        (
            {"split": "time", "source": "avazu", "fractions": (0.8, 0.1, 0.1)},
            "fractions is for a split that is random, not time; leave it out, or",
        ),
        ({"split": "sorted"}, "split must be one of random, given"),
        ({"task": "ranking"}, "task must be one of classification, regression"),
        ({"hour": "drop"}, "an option of source avazu, not of libfm"),
        ({"source": "avazu", "hour": "keep"}, "hour must be one of split, drop"),
        ({"memory_limit": 1000}, "too small"),
        ({"memory_limit": 0}, "too small"),
        ({"raw": ()}, "no raw file"),
        ({"source": "netflix"}, "there is no source 'netflix'"),
        ({"split": "given"}, "got 1 raw"),
        ({"out": "/dev/null"}, "is a file"),
    ],
)
def test_wrong_options_are_told(
    write_libfm: Write, tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    given = {
        "source": "libfm",
        "raw": (str(write_libfm(9)),),
        "out": str(tmp_path / "out"),
        **options,
    }
    with pytest.raises(DataError, match=reason):
        prepare(PrepareOptions(**given))  # type: ignore[arg-type]


def test_what_is_not_prepared_data_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_prepared(tmp_path / "missing")
    with pytest.raises(DataError, match="is not prepared data"):
        open_prepared(tmp_path)
    manifest = tmp_path / "manifest.json"
    for text in ("", "{}", "[1]", '{"schema_version": 1}'):
        manifest.write_text(text)
        with pytest.raises(DataError, match="is not a manifest of prepared data"):
            open_prepared(tmp_path)
    manifest.write_text('{"schema_version": 2}')
    with pytest.raises(
        DataError, match="schema version 2, this program reads version 1"
    ):
        open_prepared(tmp_path)


def test_quarantine_accounts_for_every_row(
    prepare_into: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (2000, 2000))
    draw = np.random.default_rng(0)
    lines = [
        f"{n % 2} {n % 7}:1" if draw.random() < 0.7 else f"bad{n} {n}:{n}x"
        for n in range(2000)
    ]
    (tmp_path / "raw").write_text("\n".join(lines))
    data = prepare_into("libfm", tmp_path / "raw", on_bad_row="quarantine")
    bad = [n for n, line in enumerate(lines) if line.startswith("bad")]
    assert data.manifest.quarantined_rows == len(bad)
    assert sum(map(data.rows, ("train", "valid", "test"))) == len(lines) - len(bad)
    refused = pl.read_parquet(data.folder / "quarantine" / "*.parquet")
    assert refused["line"].to_list() == [n + 1 for n in bad]
    assert refused["text"].to_list() == [lines[n] for n in bad]
    assert refused["reason"][0] == f"label 'bad{bad[0]}' is not a number"


def test_a_quarantined_row_does_not_move_the_others(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    raw = write_libfm(500)
    lines = raw.read_text().splitlines()
    raw.write_text("\n".join([*lines[:100], "x 1", *lines[100:]]))
    one = prepare_into("libfm", raw, on_bad_row="quarantine")
    raw.write_text("\n".join([*lines[:100], "y 2 3", *lines[100:]]))
    other = prepare_into("libfm", raw, on_bad_row="quarantine")
    assert one.fingerprint == other.fingerprint


def test_opening_and_reading_loads_neither_dask_nor_polars(
    prepare_into: Prepare, write_libfm: Write
) -> None:
    data = prepare_into("libfm", write_libfm(100))
    program = (
        "import sys, rafm_datasets as d\n"
        f"data = d.open_prepared({str(data.folder)!r})\n"
        "next(d.stream(data, 'train', 10, seed=1))\n"
        "data.train_counts()\n"
        "assert not {'dask', 'polars', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
