from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rafm_datasets import PrepareOptions
from rafm_datasets.columns import BadRows, encode_text
from rafm_datasets.negatives import with_negatives

pairs = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9).map(str)),
    min_size=1,
    max_size=40,
)


def texts(rows: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    columns = {
        "user": encode_text(pl.Series([user for user, _ in rows])),
        "item": encode_text(pl.Series([item for _, item in rows])),
    }
    parsed = with_negatives(
        columns, "item", PrepareOptions("frappe", ("raw",), "out", seed=seed)
    )
    assert parsed.labels.tolist() == [1, 0, 0] * len(rows)
    assert parsed.numbers.tolist() == list(range(3 * len(rows)))
    user, item = parsed.columns["user"], parsed.columns["item"]
    return [
        (user.values[int(u) - 1], item.values[int(i) - 1])
        for u, i in zip(user.codes, item.codes, strict=True)
    ]


@given(pairs, st.integers(0, 5))
def test_negatives_keep_the_context_and_differ_from_all_choices_there(
    rows: list[tuple[str, str]], seed: int
) -> None:
    used = defaultdict(set)
    for user, item in rows:
        used[user].add(item)
    items = {item for _, item in rows}
    if any(len(items) - len(taken) < 2 for taken in used.values()):
        with pytest.raises(BadRows):
            texts(rows, seed)
        return
    found = texts(rows, seed)
    for place, row in enumerate(rows):
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
