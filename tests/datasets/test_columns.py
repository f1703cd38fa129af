"""Columns of text as codes into their distinct values."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rafm_datasets.columns import encode_text

SHORT = st.text(
    st.sampled_from("ab\0\u00e9") | st.characters(codec="utf-8"), max_size=4
)
LONG = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(deadline=None)
@given(st.lists(SHORT | st.none()) | st.lists(SHORT | LONG | st.none()))
def test_codes_name_the_distinct_texts_in_order_of_appearance(
    texts: list[str | None],
) -> None:
    column = encode_text(pl.Series(texts, dtype=pl.String))
    values = column.values.to_list()
    assert [None if code == 0 else values[code - 1] for code in column.codes] == texts
    assert values == list(dict.fromkeys(text for text in texts if text is not None))


@pytest.mark.parametrize("text", ["a", "12345678", "123456789"])
def test_a_part_of_a_column_is_encoded_as_itself(text: str) -> None:
    column = encode_text(pl.Series(["b", None, text, "b"] * 3)[2:7])
    assert column.codes.tolist() == [1, 2, 2, 0, 1]
    assert column.values.to_list() == [text, "b"]
