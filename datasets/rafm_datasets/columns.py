"""`Column` and `Parsed`: one chunk of raw rows, each field as codes into its values.

Text is looked at once, as distinct values of a chunk: checks and conversions run on
those, never on the rows, which are integers from here on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_SHORT = 8  # bytes of text that fit into an integer
_VIEW = 16  # bytes of a text's view: its length, then the text if it is short


_MAX_SECONDS = 1 << 40  # some 35,000 years


class Column(NamedTuple):
    """One field of a chunk: codes into its distinct values.

    Code 0 is a missing value, code c the text values[c - 1]. A field with several
    values a row holds its entries row by row, cut by `indptr`, with `weights` (None:
    all ones); a field with one value a row has no `indptr`.
    """

    codes: NDArray[np.int32]
    values: pl.Series
    indptr: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None


class Parsed(NamedTuple):
    """A chunk of raw rows, checked: labels, fields, row numbers within the chunk."""

    labels: NDArray[np.float32]
    columns: Mapping[str, Column]
    numbers: NDArray[np.int64]
    times: NDArray[np.int64] | None = None


class BadRows(Exception):
    """Rows of a chunk that cannot be read: (record in the chunk, what is wrong).

    A reason of "" drops the record without a word: it is a blank line.
    """

    def __init__(self, defects: list[tuple[int, str]]) -> None:
        super().__init__(f"{len(defects)} bad rows")
        self.defects = defects


def encode_text(texts: pl.Series) -> Column:
    """Turn a column of text into codes, in order of first appearance.

    Parameters
    ----------
    texts : polars.Series              String[n]; null where the value is missing

    Returns
    -------
    Column
    """
    view: Any = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    short = _as_integers(view)
    if short is None:
        encoded = view.dictionary_encode()
        values = encoded.dictionary.cast(pa.large_string())
    else:
        encoded = short.dictionary_encode()
        values = _as_texts(encoded.dictionary)
    return Column(_codes(encoded.indices), pl.Series("value", values, dtype=pl.String))


def _as_integers(view: Any) -> Any:
    """Read texts of at most 8 bytes, none of them NUL, as integers; else give None.

    A view holds 4 bytes of length and, of a short text, all bytes, filled up with
    NUL. Integers are hashed in half the time of texts.
    """
    validity, views = view.buffers()[:2]
    if not len(view) or view.offset:
        return None
    lengths = np.ndarray((len(view),), np.uint32, views, 0, (_VIEW,))
    if lengths.max(initial=0) > _SHORT:
        return None
    integers = np.ndarray((len(view),), np.int64, views, 4, (_VIEW,)).copy()
    if np.count_nonzero(integers.view(np.uint8)) != lengths.sum(dtype=np.int64):
        return None  # a NUL that belongs to a text
    return pa.Int64Array.from_buffers(
        pa.int64(), len(view), [validity, pa.py_buffer(integers.data)], view.null_count
    )


def _as_texts(integers: Any) -> Any:
    """Turn integers of `_as_integers` back into texts."""
    texts: Any = pa.array(integers.to_numpy().view(f"S{_SHORT}"), pa.large_binary())
    return texts.cast(pa.large_string())


def _codes(indices: Any) -> NDArray[np.int32]:
    """Count indices from 1, and make 0 of those that are null."""
    validity, content = indices.buffers()
    codes = np.frombuffer(content, np.int32)[: len(indices)] + np.int32(1)
    if indices.null_count:
        bits = np.frombuffer(validity, np.uint8)
        codes *= np.unpackbits(bits, count=len(indices), bitorder="little")
    return codes


def convert(column: Column, values: pl.Series) -> Column:
    """Replace the distinct values by others; equal ones become one, null is missing.

    Parameters
    ----------
    column : Column
    values : polars.Series             String[len(column.values)]

    Returns
    -------
    Column
    """
    renamed = encode_text(values)
    new_code = np.concatenate([np.zeros(1, np.int32), renamed.codes])
    return column._replace(codes=new_code[column.codes], values=renamed.values)


def require(column: Column, good: pl.Series, reason: Callable[[str], str]) -> None:
    """Raise `BadRows` for every row that holds a value that is not good.

    Parameters
    ----------
    column : Column
    good : polars.Series               Boolean[len(column.values)]; null is not good
    reason : callable                  tells what is wrong with a value

    Raises
    ------
    BadRows                            when any value is not good
    """
    bad = ~good.fill_null(value=False).to_numpy()
    if not bad.any():
        return
    used = np.flatnonzero(np.concatenate([[False], bad])[column.codes])
    rows = used
    if column.indptr is not None:
        rows = np.searchsorted(column.indptr, used, side="right") - 1
    texts = column.values.gather(column.codes[used] - 1)
    first: dict[int, str] = {}
    for row, text in zip(rows.tolist(), texts.to_list(), strict=True):
        first.setdefault(row, reason(shown(text)))
    raise BadRows(list(first.items()))


def require_present(column: Column, name: str) -> None:
    """Raise `BadRows` for every row whose value is missing."""
    missing = np.flatnonzero(column.codes == 0)
    if len(missing):
        raise BadRows([(row, f"{name} is missing") for row in missing.tolist()])


def numbers_of(column: Column, name: str) -> NDArray[np.float64]:
    """Read a column of text as finite numbers.

    Parameters
    ----------
    column : Column                    one value a row
    name : str                         what it holds, for the message

    Returns
    -------
    float64[n]

    Raises
    ------
    BadRows                            missing, not a number, or not finite
    """
    require_present(column, name)
    parsed = column.values.cast(pl.Float64, strict=False)
    require(column, parsed.is_finite(), lambda text: f"{name} {text} is not a number")
    return parsed.to_numpy()[column.codes - 1]


def require_float32(column: Column, name: str) -> None:
    """Raise `BadRows` for every row with a number above all that labels can be.

    Parameters
    ----------
    column : Column                    of numbers
    name : str                         what it holds, for the message

    Raises
    ------
    BadRows
    """
    require(
        column,
        column.values.cast(pl.Float64).abs() <= float(np.finfo(np.float32).max),
        lambda text: f"{name} {text} is too large a number",
    )


def times_of(texts: pl.Series, name: str, per_second: int = 1) -> NDArray[np.int64]:
    """Read a column of text as seconds since 1970, without their fractions.

    Parameters
    ----------
    texts : polars.Series              String[n]
    name : str                         what it holds, for the message
    per_second : int                   1000 where the texts are milliseconds

    Returns
    -------
    int64[n]

    Raises
    ------
    BadRows                            missing, not a number, or beyond all calendars
    """
    column = encode_text(texts)
    times = numbers_of(column, name)
    seconds = column.values.cast(pl.Float64)
    require(
        column,
        seconds.abs() < _MAX_SECONDS * per_second,
        lambda text: f"{name} {text} is no time in seconds",
    )
    return (times // per_second).astype(np.int64)


def binary_labels(column: Column, name: str = "label") -> NDArray[np.float32]:
    """Read a column of labels that must be 0 or 1.

    Returns
    -------
    float32[n]

    Raises
    ------
    BadRows                            missing, not a number, or another number
    """
    require_present(column, name)
    parsed = column.values.cast(pl.Float64, strict=False)
    require(
        column, parsed.is_in([0.0, 1.0]), lambda text: f"{name} {text} is not 0 or 1"
    )
    return parsed.to_numpy()[column.codes - 1].astype(np.float32)


def no_labels(n_rows: int) -> NDArray[np.float32]:
    """Stand for the labels of a file that has none: NaN for every row."""
    return np.full(n_rows, np.nan, np.float32)


def shown(text: str) -> str:
    """Quote a raw value for a message, cut to a readable length."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
