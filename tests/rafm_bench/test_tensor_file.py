"""Files of arrays: the bytes that safetensors writes, and nothing read from others."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rafm_bench import tensor_file
from rafm_bench.errors import UserError
from rafm_bench.model_file import SavedModel, load_model, save_model
from rafm_bench.tensor_file import check_seal, hash_file, open_tensors, write_tensors
from rafm_kernels import init_parameters, make_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]


@pytest.fixture
def arrays() -> Arrays:
    generator = np.random.default_rng(0)
    return {
        "sums.linear": generator.normal(size=7),
        "bias": np.ones(1, np.float32),
        "embeddings.10": generator.normal(size=(5, 3)).astype(np.float32),
        "embeddings.2": generator.normal(size=(2, 9)).astype(np.float32),
        "moments.linear": np.zeros(0, np.float32),
        "order": np.arange(6, dtype=np.int32),
        "step": np.array([2**40]),
        "bytes": np.arange(3, dtype=np.uint8),
        "none": np.zeros((0, 4), np.float64),
    }


@pytest.mark.parametrize("text", ['{"a": [1, 2]}', "", 'quotes " \\ é € \n\t\x01\x7f'])
def test_the_bytes_are_those_of_safetensors(
    arrays: Arrays, text: str, tmp_path: Path
) -> None:
    save_file(arrays, tmp_path / "theirs", metadata={"key": text})
    digest = write_tensors(tmp_path / "ours", arrays, {"key": text})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert digest == hash_file(tmp_path / "ours").hexdigest()


def test_a_file_is_read_back_in_blocks_into_arrays_that_are_there(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "_BLOCK", 16)
    file = tmp_path / "file"
    write_tensors(file, arrays, {"key": "text"}, sealed=True)
    opened = open_tensors(file)
    check_seal(opened)
    assert opened.metadata == {"key": "text"}
    for name, array in arrays.items():
        target = np.full_like(array, 1)
        opened.read_into(name, target)
        assert target.tobytes() == array.tobytes()
    assert load_file(file).keys() == {*arrays, "sha256"}


def test_an_array_of_another_shape_type_or_name_is_refused(
    arrays: Arrays, tmp_path: Path
) -> None:
    write_tensors(tmp_path / "file", arrays, {})
    opened = open_tensors(tmp_path / "file")
    for name, target, told in (
        ("step", np.zeros(2, np.int64), r"'step' must be int64\[2\], got int64\[1\]"),
        ("step", np.zeros(1), r"must be float64\[1\], got int64\[1\]"),
        ("steps", np.zeros(1), "got none"),
    ):
        with pytest.raises(UserError, match=told):
            opened.read_into(name, target)


def test_a_file_cut_anywhere_is_refused(arrays: Arrays, tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_tensors(file, arrays, {"key": "text"}, sealed=True)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match="file: damaged: "):
            open_tensors(file)


def test_a_bit_that_flips_anywhere_is_seen(arrays: Arrays, tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_tensors(file, arrays, {"key": "text"}, sealed=True)
    whole = file.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        file.write_bytes(flipped)
        with pytest.raises(UserError, match=r"file: (damaged: |array 'sha256')"):
            check_seal(open_tensors(file))


@pytest.mark.parametrize(
    "header", [b"[]", b"{}x", json.dumps({"a": {"dtype": "X"}}).encode(), b'{"a": 1}']
)
def test_a_header_that_makes_no_sense_is_refused(header: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="its header makes no sense"):
        open_tensors(file)


def test_arrays_are_shown_where_they_lie(arrays: Arrays, tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", arrays, {})
    found = open_tensors(tmp_path / "file").mapped()
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert not array.size or not found[name].flags.writeable


def test_a_model_is_read_without_a_second_copy(tmp_path: Path) -> None:
    model = make_model("fm", np.ones(10_000, int), [64], loss="log")
    parameters = init_parameters(model, 0)
    save_model(tmp_path / "model", SavedModel(model, parameters, "data"))
    tracemalloc.start()
    read = load_model(tmp_path / "model").parameters
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    n_bytes = sum(array.nbytes for array in parameters)
    assert n_bytes < peak < 1.2 * n_bytes
    for array, written in zip(read, parameters, strict=True):
        np.testing.assert_array_equal(array, written)
