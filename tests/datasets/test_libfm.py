from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DataError, stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

ALL_TRAIN = {"fractions": (1.0, 0.0, 0.0)}


def read_back(
    data: PreparedData, split: str = "train"
) -> list[tuple[float, dict[str, float]]]:
    """Rows of a split as (label, {raw id: value}), without order."""
    texts = data.frequencies()["value"].to_list()
    rows = []
    for chunk in stream(data, split, 1000):
        for r, label in enumerate(chunk.labels.tolist()):
            entries = range(chunk.indptr[r], chunk.indptr[r + 1])
            values = chunk.values
            rows.append(
                (
                    label,
                    {
                        texts[chunk.ids[i]]: 1.0 if values is None else float(values[i])
                        for i in entries
                    },
                )
            )
    return sorted(rows, key=repr)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 3:1 5:2\n0 3:0.5\n", [(0.0, {"3": 0.5}), (1.0, {"3": 1.0, "5": 2.0})]),
        ("1 3 5\n0 3\n", [(0.0, {"3": 1.0}), (1.0, {"3": 1.0, "5": 1.0})]),
        ("1 3 5:2\n0 3\n", [(0.0, {"3": 1.0}), (1.0, {"3": 1.0, "5": 2.0})]),
        ("1 3 5\r\n0 3\r\n", [(0.0, {"3": 1.0}), (1.0, {"3": 1.0, "5": 1.0})]),
        ("\ufeff1 3\n0 3", [(0.0, {"3": 1.0}), (1.0, {"3": 1.0})]),
        ("  1\t3   5 \n\n0 3 \n", [(0.0, {"3": 1.0}), (1.0, {"3": 1.0, "5": 1.0})]),
        ("-1 3\n1 007\n", [(0.0, {"3": 1.0}), (1.0, {"7": 1.0})]),
        ("+1 3\n-1\n", [(0.0, {}), (1.0, {"3": 1.0})]),
        ("1 18446744073709551615\n", [(1.0, {"18446744073709551615": 1.0})]),
    ],
    ids=["values", "bare", "both", "crlf", "bom", "blanks", "minus", "empty", "long"],
)
def test_every_way_of_writing_libfm_text_is_read(
    prepare_into: Prepare,
    tmp_path: Path,
    text: str,
    expected: list[tuple[float, dict[str, float]]],
) -> None:
    raw = tmp_path / "a.libfm"
    raw.write_bytes(text.encode())
    data = prepare_into("libfm", raw, **ALL_TRAIN)
    assert data.task == "classification"
    assert read_back(data) == expected
    packed = tmp_path / "b.libfm.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    again = prepare_into("libfm", packed, **ALL_TRAIN)
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("labels", "task", "expected_task", "expected"),
    [
        ("0 1 1", None, "classification", [0, 1, 1]),
        ("-1 1 1", None, "classification", [0, 1, 1]),
        ("-1 1 1", "regression", "regression", [-1, 1, 1]),
        ("0 1 1", "regression", "regression", [0, 1, 1]),
        ("-1 1 1", "classification", "classification", [0, 1, 1]),
        ("0 1 2.5", None, "regression", [0, 1, 2.5]),
        ("-1 0 1", None, "regression", [-1, 0, 1]),
    ],
)
def test_labels_decide_the_task_unless_it_is_told(
    prepare_into: Prepare,
    tmp_path: Path,
    labels: str,
    task: str | None,
    expected_task: str,
    expected: list[float],
) -> None:
    raw = tmp_path / "a.libfm"
    raw.write_text("".join(f"{label} 1:2\n" for label in labels.split()))
    data = prepare_into("libfm", raw, task=task, **ALL_TRAIN)
    assert data.task == expected_task
    assert [label for label, _ in read_back(data)] == sorted(expected, key=repr)
    train = data.manifest.splits["train"]
    if expected_task == "classification":
        assert (train.positives, train.label_mean) == (2, None)
    else:
        assert train.positives is None
        assert train.label_mean == pytest.approx(sum(expected) / 3)
    sums = data.frequencies().filter(kind="value")["train_label_sum"].to_list()
    assert sums == [pytest.approx(sum(expected))]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("yes 3:1", "label 'yes' is not a number"),
        ("nan 3:1", "label 'nan' is not a number"),
        ("4e38 3:1", "label '4e38' is too large a number"),
        ("1 -3:1", "feature id '-3' is negative"),
        ("1 x:1", "feature id 'x' is not a whole number"),
        ("1 3:x", "feature value 'x' is not a number"),
        ("1 3:", "feature value '' is not a number"),
        ("1 3:inf", "feature value 'inf' is not a number"),
        ("1 3:4:5", "feature value '4:5' is not a number"),
        ("1 qid:3 4:1", "feature id 'qid' is not a whole number"),
        ("1 3\x00:1", "holds a NUL byte"),
        ("1 99999999999999999999:1", "is not a whole number"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(
    prepare_into: Prepare, tmp_path: Path, row: str, reason: str
) -> None:
    raw = tmp_path / "a.libfm"
    raw.write_text(f"1 1:1\n0 2:1\n\n{row}\n1 3:2\nno 4\n")
    with pytest.raises(DataError) as caught:
        prepare_into("libfm", raw, memory_limit=1 << 30)
    message = str(caught.value)
    assert message.startswith(f"{raw}, line 4: ")
    assert reason in message
    assert "\n" not in message


def test_text_that_is_not_utf8_is_told_with_its_byte(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    raw = tmp_path / "a.libfm"
    raw.write_bytes(b"1 1:1\n1 \xff:1\n")
    with pytest.raises(DataError, match=r"line 2: byte 3 of the row is not UTF-8"):
        prepare_into("libfm", raw)


def test_given_splits_keep_files_apart_and_the_order_of_test_rows(
    prepare_into: Prepare, tmp_path: Path
) -> None:
    texts = {"a": "1 1\n0 2\n", "b": "1 3\n", "v": "0 1\n", "t": "1 9\n0 1\n0 2\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    data = prepare_into(
        "libfm",
        f"{tmp_path}/a,{tmp_path}/b",
        tmp_path / "v",
        tmp_path / "t",
        split="given",
    )
    assert [data.rows(split) for split in ("train", "valid", "test")] == [3, 1, 3]
    test = next(stream(data, "test", 10))
    texts_of = data.frequencies()["value"].to_list()
    assert [texts_of[i] for i in test.ids] == [None, "1", "2"]
    assert test.ids[0] == data.rare_id("feature")
    assert test.labels.tolist() == [1, 0, 0]
    assert data.manifest.splits["test"].order == "raw"
