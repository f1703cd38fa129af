from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rafm_datasets import DataError, PrepareOptions, prepare, stream
from rafm_datasets.columns import Parsed, encode_text
from rafm_datasets.negatives import with_negatives
from rafm_datasets.positives import (
    hold_positives,
    load_positives,
    merge_positives,
    positives_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

pairs = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9).map(str)),
    min_size=1,
    max_size=40,
)


def parsed_rows(rows: list[tuple[str, str]]) -> Parsed:
    columns = {
        "user": encode_text(pl.Series([user for user, _ in rows])),
        "item": encode_text(pl.Series([item for _, item in rows])),
    }
    return Parsed(np.ones(len(rows), np.float32), columns, np.arange(len(rows)))


def texts(rows: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """Rows with their negatives, of those for which there are any."""
    positives = parsed_rows(rows)
    known = positives_of(positives.columns, "item")
    parsed, full = with_negatives(positives, "item", known, seed)
    n_left = len(rows) - len(full)
    assert parsed.labels.tolist() == [1, 0, 0] * n_left
    left = np.setdiff1d(np.arange(len(rows)), full)
    assert parsed.numbers.tolist() == [3 * i + j for i in left for j in range(3)]
    user, item = parsed.columns["user"], parsed.columns["item"]
    return [
        (user.values[int(u) - 1], item.values[int(i) - 1])
        for u, i in zip(user.codes, item.codes, strict=True)
    ]


@settings(deadline=None)
@given(pairs, st.integers(0, 5))
def test_negatives_keep_the_context_and_differ_from_all_choices_there(
    rows: list[tuple[str, str]], seed: int
) -> None:
    used = defaultdict(set)
    for user, item in rows:
        used[user].add(item)
    items = {item for _, item in rows}
    found = texts(rows, seed)
    left = [row for row in rows if len(items) - len(used[row[0]]) >= 2]
    assert len(found) == 3 * len(left)
    for place, row in enumerate(left):
        positive, *negatives = found[3 * place : 3 * place + 3]
        assert positive == row
        assert {user for user, _ in negatives} == {row[0]}
        drawn = {item for _, item in negatives}
        assert len(drawn) == 2
        assert not drawn & used[row[0]]
        assert drawn <= items


def test_negatives_are_uniform_over_what_is_left() -> None:
    rows = [("a", "0")] * 3000 + [(f"b{i}", str(i)) for i in range(7)]
    drawn = [item for user, item in texts(rows, 1)[: 3 * 3000] if item != "0"]
    counts = np.bincount([int(item) for item in drawn], minlength=7)[1:]
    assert counts.sum() == 6000
    assert abs(counts / 6000 - 1 / 6).max() < 0.02


def test_other_seeds_draw_other_negatives() -> None:
    rows = [("a", str(i % 5)) for i in range(50)] + [
        (f"b{i}", str(i)) for i in range(99)
    ]
    assert texts(rows, 1) == texts(rows, 1)
    assert texts(rows, 1) != texts(rows, 2)


@pytest.mark.parametrize("memory", [1, 1 << 20])
def test_the_positives_of_chunks_merge_into_those_of_the_whole(
    tmp_path: Path, memory: int
) -> None:
    rows = [(f"u{i * i % 17}", f"i{i * 7 % 23}") for i in range(500)]
    for number in range(5):
        part = parsed_rows(rows[100 * number : 100 * number + 100])
        hold_positives(positives_of(part.columns, "item"), number, tmp_path)
    merge_positives(range(5), tmp_path, memory)
    found = load_positives(tmp_path)
    whole = positives_of(parsed_rows(rows).columns, "item")
    assert found.choices.to_list() == whole.choices.to_list()
    assert found.hashes.tolist() == whole.hashes.tolist()
    assert found.pairs.tolist() == whole.pairs.tolist()
    assert len(whole.pairs) == len(set(rows))


TAGS = "userId,movieId,tag,timestamp\n"


@pytest.mark.parametrize("split", ["random", "time"])
def test_negatives_do_not_depend_on_chunks_and_know_the_positives_of_all_files(
    prepare_into: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_groups: None,
    split: str,
) -> None:
    rows = [
        (f"{i % 5}", f"{i % 3}", f"tag {i * i % 97}", f"{i * 3600}") for i in range(600)
    ]
    lines = [",".join(row) + "\n" for row in rows]
    (tmp_path / "all.csv").write_text(TAGS + "".join(lines))
    (tmp_path / "a.csv").write_text(TAGS + "".join(lines[:200]))
    (tmp_path / "b.csv").write_text(TAGS + "".join(lines[200:]))
    options = {"split": split, "count_splits": "all"}
    whole = prepare_into("movielens-tag", tmp_path / "all.csv", **options)
    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (500, 500))
    parts = prepare_into("movielens-tag", tmp_path / "all.csv", threads=2, **options)
    assert parts.fingerprint == whole.fingerprint
    names = [tmp_path / "a.csv", tmp_path / "b.csv"]
    two = prepare_into("movielens-tag", *names, **options)
    values = two.frequencies()["value"].to_list()
    used = {row[:3] for row in rows}
    labels: Counter[float] = Counter()
    for name in two.splits:
        for chunk in stream(two, name, 10_000):
            labels.update(chunk.labels.tolist())
            triples = chunk.ids.reshape(-1, 3).tolist()
            for label, ids in zip(chunk.labels, triples, strict=True):
                assert (tuple(values[i] for i in ids) in used) == (label == 1)
    assert labels == {1.0: 600, 0.0: 1200}


def test_a_positive_without_a_negative_is_told_or_set_aside(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    lines = [f"1,1,{tag},9\n" for tag in "abc"] + ["2,1,a,9\n", "3,x,a,9\n"]
    raw = tmp_path / "tags.csv"
    raw.write_text(TAGS + "".join(lines))
    with pytest.raises(DataError, match=r"line 6: movie 'x' is not"):
        prepare_into("movielens-tag", raw)
    raw.write_text(TAGS + "".join(lines[:-1]))
    with pytest.raises(DataError, match=r"tags.csv, line 2: leaves no other choice"):
        prepare_into("movielens-tag", raw)
    raw.write_text(TAGS + "".join(lines))
    data = prepare_into("movielens-tag", raw, on_bad_row="quarantine")
    assert sum(map(data.rows, data.splits)) == 3
    assert data.manifest.quarantined_rows == 4
    refused = pl.read_parquet(data.folder / "quarantine" / "*.parquet")
    assert refused["line"].to_list() == [2, 3, 4, 6]
    assert refused["text"].to_list() == ["1\t1\ta", "1\t1\tb", "1\t1\tc", "3,x,a,9"]


def test_rows_refused_while_drawing_outlast_a_worker_that_parses_late(
    tmp_path: Path,
) -> None:
    raw, out = tmp_path / "tags.csv", tmp_path / "out"
    rows = [*(f"1,1,tag{n},5" for n in range(4)), "x,1,tag0,5"]
    rows += [f"2,{n},tag{n % 4},5" for n in range(50)]
    raw.write_text("\n".join(["userId,movieId,tag,timestamp", *rows, ""]))
    parsed: dict[Path, bytes] = {}

    def late(stage: str, done: int, *_: object) -> None:
        if stage == "split" and not done:
            found = (out / ".prepare").glob("*.refused")
            parsed.update((path, path.read_bytes()) for path in found)
        elif stage == "merge":
            for path, content in parsed.items():
                path.write_bytes(content)

    options = PrepareOptions(
        "movielens-tag", (str(raw),), str(out), on_bad_row="quarantine"
    )
    data = prepare(options, late)
    assert len(parsed) == 1
    assert data.manifest.quarantined_rows == 5
    set_aside = pl.read_parquet(out / "quarantine" / "*.parquet")
    assert set_aside["line"].to_list() == [2, 3, 4, 5, 6]


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("stage", ["parse", "split", "encode"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_drawing_that_is_broken_off_resumes_to_the_same_bytes(
    stage: str, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr("rafm_datasets.budget.CHUNK_BYTES", (3000, 3000))
    lines = [f"{i % 5},{i % 3},tag {i * i % 97},{i}\n" for i in range(600)]
    text = (TAGS + "".join(lines)).encode()
    raw = tmp_path / ("tags.csv.gz" if packed else "tags.csv")
    raw.write_bytes(gzip.compress(text) if packed else text)
    seen: list[int] = []

    def kill(now: str, done: int, total: int | None, unit: str) -> None:
        if now == stage:
            seen.append(done)
            if len(seen) == 3:
                raise Killed

    def options(name: str) -> PrepareOptions:
        return PrepareOptions("movielens-tag", (str(raw),), str(tmp_path / name))

    with pytest.raises(Killed):
        prepare(options("out"), kill)
    assert prepare(options("out")).manifest == prepare(options("straight")).manifest
