"""`plan_prepare`: what a run would do and take, told without touching anything."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zipfile
from typing import TYPE_CHECKING

import polars as pl
import pytest

from rafm_datasets import (
    DataError,
    PrepareOptions,
    generate,
    parse_description,
    plan_prepare,
    prepare,
)
from rafm_datasets.planning import short_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import Plan

    Write = Callable[..., Path]

N_ROWS = 12_000


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw") / "train.txt"
    generate("criteo", N_ROWS, 0, str(raw))
    return raw


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of 512 KiB, so that small files are not sampled whole."""
    monkeypatch.setattr("rafm_datasets.planning._SAMPLE_BYTES", 512 << 10)


def plan(source: str, *raw: Path | str, out: Path, **options: object) -> Plan:
    texts = tuple(map(str, raw))
    return plan_prepare(PrepareOptions(source, texts, str(out), **options))  # type: ignore[arg-type]


def near(found: float, expected: float, factor: float) -> bool:
    return expected / factor <= found <= expected * factor


def test_rows_features_and_disk_are_near_what_comes_of_it(
    clicks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    planned = plan("criteo", clicks, out=out)
    estimate = planned.estimate
    assert estimate is not None
    assert planned.action == "begin"
    assert estimate.sample_rows < N_ROWS / 3
    data = prepare(PrepareOptions("criteo", (str(clicks),), str(out)))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert near(estimate.rows, N_ROWS, 1.02)
    assert near(estimate.features, data.n_features, 1.5)
    assert near(estimate.final_bytes, size, 1.5)
    assert estimate.peak_disk_bytes > size
    assert estimate.seconds > 0
    (file,) = planned.files
    assert (file.text_bytes, file.exact) == (clicks.stat().st_size, True)


def test_nothing_is_written(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    plan("criteo", clicks, out=tmp_path / "new" / "out")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]


def test_packed_texts_are_estimated_or_known_from_their_archive(
    clicks: Path, tmp_path: Path
) -> None:
    text = clicks.read_bytes()
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress(text, 1))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", text)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(clicks, "dac/train.txt")
    for name, exact in (("train.txt.gz", False), ("a.zip", True), ("a.tar.gz", True)):
        planned = plan("criteo", tmp_path / name, out=tmp_path / "out")
        (file,) = planned.files
        assert file.exact == exact, name
        assert near(file.text_bytes, len(text), 1.2), name
        assert near(file.rows, N_ROWS, 1.2), name
        assert file.stored_bytes == (tmp_path / name).stat().st_size


def test_what_a_run_would_do_is_told(
    write_libfm: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = write_libfm(500), tmp_path / "out"
    options = PrepareOptions("libfm", (str(raw),), str(out))

    class Killed(BaseException):
        pass

    def kill(stage: str, *_: object) -> None:
        if stage == "encode":
            raise Killed

    with pytest.raises(Killed):
        prepare(options, kill)
    assert plan("libfm", raw, out=out).action == "resume"
    with pytest.raises(DataError, match="unfinished run with other parameters"):
        plan("libfm", raw, out=out, seed=1)
    assert plan("libfm", raw, out=out, seed=1, overwrite=True).action == "begin"
    prepare(options)
    done = plan("libfm", raw, out=out)
    assert (done.action, done.estimate) == ("nothing", None)
    with pytest.raises(DataError, match="was prepared already"):
        plan("libfm", raw, out=out, seed=1)


def test_given_and_time_splits_are_planned_file_by_file(
    write_libfm: Write, tmp_path: Path
) -> None:
    files = [write_libfm(n, n) for n in (900, 300, 200)]
    planned = plan("libfm", *files, out=tmp_path / "out", split="given")
    assert [(file.split, file.rows) for file in planned.files] == [
        ("train", 900),
        ("valid", 300),
        ("test", 200),
    ]
    ratings = tmp_path / "ratings.dat"
    generate("movielens", 3000, 0, str(ratings))
    planned = plan("movielens", ratings, out=tmp_path / "out", split="time")
    assert near(planned.files[0].rows, 3000, 1.02)


def test_blocks_and_drawn_negatives_are_counted_as_rows(tmp_path: Path) -> None:
    block = (
        "product/productId: B00000000{0}\nreview/userId: A{0}\nreview/score: 4.0\n"
        "review/time: 1\nreview/text: {1}\n\n"
    )
    movies = tmp_path / "movies.txt"
    movies.write_text("".join(block.format(n % 10, "x" * 3000) for n in range(900)))
    assert near(plan("amazon", movies, out=tmp_path / "o").files[0].rows, 900, 1.02)
    tags = tmp_path / "tags.csv"
    rows = [f"{n % 7},{n % 5},tag{n % 11},{n}\n" for n in range(100)]
    tags.write_text("userId,movieId,tag,timestamp\n" + "".join(rows))
    planned = plan("movielens-tag", tags, out=tmp_path / "o", memory_limit=700 << 20)
    assert planned.files[0].rows == 300
    assert planned.warnings == ()


def test_what_would_go_wrong_is_warned_of(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rafm_datasets.planning.free_bytes", lambda _: 1000)
    bad = tmp_path / "bad.libfm"
    bad.write_text("yes 3\n" + "1 3\n0 4\n" * 50)
    disk, rows = plan("libfm", bad, out=tmp_path / "out").warnings
    assert "and 1,000 are free; choose another --out" in disk
    assert "1 of the sampled rows cannot be read (the first: label 'yes'" in rows
    assert "the run would stop there" in rows
    short = short_of_disk(PrepareOptions("criteo", (str(clicks),), str(tmp_path)))
    assert short is not None
    assert "the disk will probably not do; --plan tells" in short


def test_rows_of_a_described_parquet_file_are_known(tmp_path: Path) -> None:
    table = tmp_path / "clicks.parquet"
    frame = pl.DataFrame(
        {"y": [0, 1] * 4000, "ad": [f"a{n % 90}" for n in range(8000)]}
    )
    frame.write_parquet(table)
    described = parse_description({"label": "y"})
    planned = plan("table", table, out=tmp_path / "o", description=described)
    assert planned.files[0].rows == 8000
    assert planned.estimate is not None
    assert planned.estimate.features == 92


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"1 3\n" * 9, "none of the 9 rows of"),
        (b"\t".join([b"1"] * 39) + b"\n", "39 columns, so this is a test file"),
    ],
)
def test_what_prepare_refuses_at_once_plan_refuses_too(
    content: bytes, message: str, tmp_path: Path
) -> None:
    raw = tmp_path / "train.txt"
    raw.write_bytes(content)
    with pytest.raises(DataError, match=message):
        plan("criteo", raw, out=tmp_path / "out")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1\t2\n" * 9)[:12])
    with pytest.raises(DataError, match="damaged or cut short"):
        plan("criteo", tmp_path / "cut.gz", out=tmp_path / "out")


def test_a_sample_that_begins_with_bad_rows_is_planned_by_the_others(
    tmp_path: Path,
) -> None:
    raw = tmp_path / "raw.libfm"
    raw.write_text("yes 3\n" * 30 + "1 3\n0 4\n" * 30)
    estimate = plan("libfm", raw, out=tmp_path / "out").estimate
    assert estimate is not None
    assert (estimate.sample_rows, estimate.sample_refused) == (60, 30)


def test_a_header_without_rows_is_told_of_the_file_itself(tmp_path: Path) -> None:
    raw = tmp_path / "ratings.csv"
    raw.write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(DataError, match=f"{raw} holds no rows"):
        plan("movielens", raw, out=tmp_path / "out")
