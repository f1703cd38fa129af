"""Splits by time: which rows go where, and in what order they are written."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from rafm_datasets import (
    DataError,
    PrepareOptions,
    parse_description,
    prepare,
    source_names,
)
from rafm_datasets.sources import load_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

SPLITS = ("train", "valid", "test")
HOUR, DAY = 3600, 86_400
MIDNIGHT = 11_000 * DAY
UNTIMED = [name for name in source_names() if not load_source(name).INFO.timed]


def ratings(n_rows: int, seed: int, last: int = 10 * DAY) -> list[tuple[int, int]]:
    """(user, time) of rows in no order; many share a time."""
    draw = random.Random(seed)
    times = [MIDNIGHT + draw.randrange(0, last, 600) for _ in range(n_rows)]
    return list(enumerate(times, 1))


def write(path: Path, rows: list[tuple[int, int]]) -> Path:
    path.write_text("".join(f"{user}::7::3::{time}\n" for user, time in rows))
    return path


def users(data: PreparedData, split: str) -> list[int]:
    """Users of a split in the order of its files."""
    name = dict(data.frequencies().select("id", "value").rows())
    found: list[int] = []
    for file in data.manifest.splits[split].files:
        ids = pq.read_table(data.folder / file.name)["user"].to_pylist()
        found += [int(name[i]) for i in ids]
    return found


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize(
    ("period", "holdout", "starts"),
    [
        ("1d", (1, 1), (8 * DAY, 9 * DAY)),
        ("1d", (0, 1), (9 * DAY, 9 * DAY)),
        ("2d", (1, 2), (4 * DAY, 6 * DAY)),
        ("36h", (1, 1), (7 * DAY, 8 * DAY + 12 * HOUR)),
        ("1w", (1, 0), (3 * DAY, 10 * DAY)),
    ],
)
def test_the_last_periods_are_held_out_and_rows_lie_in_time_order(
    period: str,
    holdout: tuple[int, int],
    starts: tuple[int, int],
    prepare_into: Prepare,
    tmp_path: Path,
) -> None:
    rows = ratings(1500, 0)
    data = prepare_into(
        "movielens",
        write(tmp_path / "raw.dat", rows),
        split="time",
        period=period,
        holdout=holdout,
        count_splits="all",
    )
    expected: dict[str, list[tuple[int, int]]] = {split: [] for split in SPLITS}
    for user, time in rows:
        late = sum(time >= MIDNIGHT + start for start in starts)
        expected[SPLITS[late]].append((time, user))
    for split in SPLITS:
        assert users(data, split) == [user for _, user in sorted(expected[split])]
        assert data.manifest.splits[split].order == "time"
    sizes = [file.rows for file in data.manifest.splits["train"].files]
    assert sizes[:-1] == [256] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= 256


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("same_time", [False, True])
def test_chunks_workers_and_packing_do_not_change_a_time_split(
    same_time: bool,
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = ratings(2000, 1)
    if same_time:
        rows = [(user, MIDNIGHT + (user > 1990) * DAY) for user, _ in rows]
    raw = write(tmp_path / "raw.dat", rows)
    options = {"split": "time", "holdout": (0, 1)}
    whole = prepare_into("movielens", raw, threads=1, **options)
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (1000, 1000))
    parts = prepare_into("movielens", raw, threads=3, **options)
    assert parts.manifest == whole.manifest


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("stage", ["parse", "split", "encode", "write"])
@pytest.mark.parametrize("after", [0, 2])
def test_a_time_split_broken_off_resumes_to_the_same_bytes(
    stage: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (4000, 4000))
    raw = str(write(tmp_path / "raw.dat", ratings(2000, 2)))
    seen: list[int] = []

    def kill(now: str, done: int, total: int | None, unit: str) -> None:
        if now == stage:
            seen.append(done)
            if len(seen) > after:
                raise Killed

    def options(name: str) -> PrepareOptions:
        out = str(tmp_path / name)
        return PrepareOptions("movielens", (raw,), out, split="time", threads=1)

    with pytest.raises(Killed):
        prepare(options("out"), kill)
    resumed = prepare(options("out"))
    assert resumed.manifest == prepare(options("straight")).manifest


def test_refused_rows_have_no_say_in_what_the_last_period_is(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    rows = ratings(300, 3)
    raw = write(tmp_path / "raw.dat", rows)
    with raw.open("a") as file:
        file.write(f"9::7::99::{MIDNIGHT + 99 * DAY}\n")
    data = prepare_into("movielens", raw, split="time", on_bad_row="quarantine")
    assert data.manifest.quarantined_rows == 1
    counts = Counter((time - MIDNIGHT) // DAY for _, time in rows)
    assert [data.rows("valid"), data.rows("test")] == [counts[8], counts[9]]


@pytest.mark.parametrize("source", UNTIMED)
def test_only_sources_with_a_time_are_split_by_it(
    source: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "raw.txt").write_text("1 2\n")
    options = {}
    if source == "table":
        content = {"label": "y", "columns": ["y", "u"], "format": "csv"}
        options = {"description": parse_description({**content, "separator": " "})}
    with pytest.raises(DataError, match=r"no time to split by; (give|name)"):
        prepare_into(source, tmp_path / "raw.txt", split="time", **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"period": "1y"}, "such as 12h, 1d or 2w, got '1y'"),
        ({"period": "0d"}, "got '0d'"),
        ({"holdout": (0, 0)}, "not both 0, got 0,0; try 1,1"),
        ({"holdout": (1, -1)}, "none negative"),
        ({"period": "30d"}, "or hold fewer or shorter periods out"),
    ],
)
def test_wrong_periods_are_told(
    options: dict[str, object], reason: str, prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = write(tmp_path / "raw.dat", ratings(50, 4))
    with pytest.raises(DataError, match=reason):
        prepare_into("movielens", raw, split="time", **options)
