"""Models leave for other programs and come back: arrays, safetensors, libFM's text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_bench.errors import UserError
from rafm_bench.exchange import export_model, import_model, libfm
from rafm_bench.model_file import SavedModel, arrays_of, load_model
from rafm_bench.run import MODEL
from rafm_datasets import stream
from rafm_kernels import (
    Batch,
    init_parameters,
    load_backend,
    make_model,
    probability,
    tables,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.run import Run
    from rafm_datasets import PreparedData


def ran(*words: Any) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def told(*words: Any) -> Any:
    code, stdout, stderr = ran(*words, "--json")
    assert code == 0, stderr
    return json.loads(stdout)


def random_model(data: PreparedData, name: Any, ranks: Any, **how: Any) -> SavedModel:
    """Make a model whose numbers take all digits of a float32, tiny ones too."""
    model = make_model(name, data.train_counts(), ranks, loss="log", **how)
    parameters = init_parameters(model, 0)
    rng = np.random.default_rng(0)
    for array in parameters:
        array[...] = rng.normal(size=array.shape) * 10.0 ** rng.integers(
            -9, 2, array.shape
        )
    for table in tables(parameters, model.layout):  # what pads the tables stays 0
        table[...] = rng.normal(size=table.shape)
    return SavedModel(model, parameters, data.fingerprint)


def assert_same_model(got: SavedModel, expected: SavedModel) -> None:
    assert got.model.name == expected.model.name
    assert got.data_fingerprint == expected.data_fingerprint
    arrays = arrays_of(expected)
    assert list(arrays_of(got)) == list(arrays)
    for name, array in arrays_of(got).items():
        assert array.tobytes() == arrays[name].tobytes(), name


@pytest.mark.parametrize(
    ("form", "name", "ranks"),
    [
        *[(form, "lr", ()) for form in ("npz", "safetensors", "libfm")],
        *[(form, "fm", (5,)) for form in ("npz", "safetensors", "libfm")],
        ("libfm", "fm", (1,)),
        ("npz", "rafm", (2, 8, 16)),
        ("safetensors", "rafm", (2, 8, 16)),
    ],
)
def test_a_model_comes_back_with_the_same_bits(
    click_data: PreparedData, tmp_path: Path, form: str, name: str, ranks: Any
) -> None:
    saved = random_model(click_data, name, ranks)
    file = tmp_path / "model"
    export_model(saved, file, form)
    assert_same_model(import_model(file, click_data, form), saved)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_levels_of_any_order_come_back(
    click_data: PreparedData, tmp_path: Path, form: str
) -> None:
    levels = np.random.default_rng(0).integers(1, 3, click_data.n_features)
    saved = random_model(
        click_data, "rafm", (2, 5), rank_rule="explicit", levels=levels
    )
    assert saved.model.layout.order is not None
    file = tmp_path / f"model.{form}"
    export_model(saved, file)
    assert_same_model(import_model(file, click_data), saved)


def test_an_npz_is_in_the_numbering_of_the_data(
    click_data: PreparedData, tmp_path: Path
) -> None:
    """Read with NumPy alone, it gives the scores of the backend."""
    levels = np.random.default_rng(0).integers(1, 3, click_data.n_features)
    saved = random_model(
        click_data, "rafm", (2, 5), rank_rule="explicit", levels=levels
    )
    export_model(saved, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as opened:
        found = dict(opened)
    about = json.loads(str(found["about"]))
    assert about["rank_dims"] == [2, 5]
    assert about["data_fingerprint"] == click_data.fingerprint
    low: dict[int, Any] = {}
    high: dict[int, Any] = {}
    for table, rows in ((low, found["embeddings.1"]), (high, found["embeddings.2"])):
        table.update(zip(found["features"].tolist(), rows, strict=False))
    rows = next(stream(click_data, "test", 50))
    expected = []
    for a, b in rows.ids.reshape(50, 2).tolist():
        both = high if a in high and b in high else low
        linear = found["linear"][a] + found["linear"][b]
        expected.append(found["bias"][0] + linear + both[a] @ both[b])
    layout = saved.model.layout
    batch = Batch(*rows)._replace(ids=layout.remap(rows.ids).astype(np.int32))
    scores = load_backend("numpy").scores(saved.model, saved.parameters, batch)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def as_libfm_reads(text: str, n_features: int, n_factors: int) -> Any:
    """Read a model as fm_model::loadModel does, line by line."""
    lines = iter(text.split("\n"))
    next(lines)
    bias = float(next(lines))
    next(lines)
    linear = [float(next(lines)) for _ in range(n_features)]
    next(lines)
    embeddings = [next(lines).split(" ") for _ in range(n_features)]
    assert {len(row) for row in embeddings} == {n_factors}
    assert list(lines) == [""]
    return bias, linear, [[float(number) for number in row] for row in embeddings]


def test_libfm_would_score_rows_as_we_do(
    click_data: PreparedData, tmp_path: Path
) -> None:
    saved = random_model(click_data, "fm", (4,))
    export_model(saved, tmp_path / "fm.libfm")
    text = (tmp_path / "fm.libfm").read_text()
    assert text.startswith("#global bias W0\n")
    bias, linear, v = as_libfm_reads(text, click_data.n_features, 4)
    rows = next(stream(click_data, "test", 50))
    expected = [
        bias + linear[a] + linear[b] + float(np.dot(v[a], v[b]))
        for a, b in rows.ids.reshape(50, 2).tolist()
    ]
    scores = load_backend("numpy").scores(saved.model, saved.parameters, Batch(*rows))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def as_one_text(saved: SavedModel) -> bytes:
    """The numbers of a model as libFM has them, each array written at once."""

    def text(array: Any) -> bytes:
        frame = pl.from_numpy(np.ascontiguousarray(array))
        return frame.write_csv(include_header=False, separator=" ").encode()

    linear, found = (
        saved.parameters.linear,
        tables(saved.parameters, saved.model.layout),
    )
    return b"".join(
        [
            f"#global bias W0\n{saved.parameters.bias[0]!s}\n".encode(),
            b"#unary interactions Wj\n" + text(linear[:, None]),
            b"#pairwise interactions Vj,f\n",
            text(found[0]) if found else b"\n" * len(linear),
        ]
    )


@pytest.mark.parametrize("ranks", [(), (1,), (5,)])
@pytest.mark.parametrize("block_numbers", [libfm.BLOCK_NUMBERS, 37, 1])
def test_libfm_text_does_not_depend_on_the_blocks_it_is_written_in(
    click_data: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranks: Any,
    block_numbers: int,
) -> None:
    saved = random_model(click_data, "fm" if ranks else "lr", ranks)
    monkeypatch.setattr(libfm, "BLOCK_NUMBERS", block_numbers)
    file = tmp_path / "m.libfm"
    export_model(saved, file)
    assert file.read_bytes() == as_one_text(saved)
    assert_same_model(import_model(file, click_data), saved)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["", "1 2"], "line 3: holds 2 numbers and needs 0, as many as the lines"),
        (["1 2", ""], "line 3: holds 0 numbers and needs 2"),
    ],
)
def test_libfm_text_with_some_lines_empty_is_refused(
    click_data: PreparedData, tmp_path: Path, lines: list[str], message: str
) -> None:
    file = tmp_path / "m.libfm"
    lines = [*lines, *["1 2"] * (click_data.n_features - 2)]
    file.write_text("\n".join(["#pairwise interactions Vj,f", *lines, ""]))
    with pytest.raises(UserError, match=message):
        import_model(file, click_data)


def test_a_weight_of_two_numbers_is_refused(
    click_data: PreparedData, tmp_path: Path
) -> None:
    file = tmp_path / "m.libfm"
    export_model(random_model(click_data, "fm", (2,)), file)
    lines = file.read_text().splitlines()
    lines[4] = "1 2"
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="line 5: holds 2 numbers and needs 1, as"):
        import_model(file, click_data)


def test_what_libfm_was_told_to_leave_out_is_zero(
    click_data: PreparedData, tmp_path: Path
) -> None:
    """-dim 0,0,2 writes embeddings alone, with its six digits."""
    file = tmp_path / "m.libfm"
    lines = ["0.125 -1.5e-05"] * click_data.n_features
    file.write_text("\n".join(["#pairwise interactions Vj,f", *lines, ""]))
    model, parameters, _ = import_model(file, click_data)
    assert (model.name, model.loss, parameters.bias[0]) == ("fm", "log", 0)
    assert not parameters.linear.any()
    assert tables(parameters, model.layout)[0][-1].tolist() == [
        0.125, np.float32(-1.5e-5),
    ]  # fmt: skip


def test_difacto_of_one_rank_is_an_fm_to_libfm(
    click_data: PreparedData, tmp_path: Path
) -> None:
    saved = random_model(click_data, "difacto", (4,))
    export_model(saved, tmp_path / "m.libfm")
    back = import_model(tmp_path / "m.libfm", click_data)
    assert back.model.name == "fm"
    arrays = arrays_of(saved)
    for name, array in arrays_of(back).items():
        assert array.tobytes() == arrays[name].tobytes(), name


def test_a_model_of_fields_does_not_fit_libfm(
    click_data: PreparedData, tmp_path: Path
) -> None:
    saved = random_model(click_data, "ffm", (4,), n_fields=2)
    with pytest.raises(UserError, match="this model is ffm with ranks 4; export it as"):
        export_model(saved, tmp_path / "m.libfm")


def test_a_model_of_several_ranks_does_not_fit_libfm(
    rafm_run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "m.libfm"
    code, stdout, stderr = ran("export", rafm_run.folder, "--out", out)
    assert (code, stdout) == (2, "")
    assert "this model is rafm with ranks 2,8,16; export it as npz or saf" in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_a_run_goes_out_and_comes_back_with_its_quality(
    rafm_run: Run, clicks: Path, tmp_path: Path, form: str
) -> None:
    file, back = tmp_path / f"m.{form}", tmp_path / "back"
    result = told("export", rafm_run.folder, "--out", file)
    assert result == {
        "file": str(file), "format": form, "bytes": file.stat().st_size
    }  # fmt: skip
    found = told("import", file, "--like", clicks, "--out", back)
    assert (found["test"], found["epochs"]) == (rafm_run.result.test, [])
    same = (rafm_run.folder / MODEL).read_bytes()
    assert (back / MODEL).read_bytes() == same
    assert (file.read_bytes() == same) == (form == "safetensors")
    assert told("evaluate", back)["metrics"] == rafm_run.result.test
    assert sorted(one.name for one in back.iterdir()) == [
        "config.json", "model.safetensors", "result.json"
    ]  # fmt: skip


def test_a_model_of_libfm_is_measured_and_predicts(
    clicks: Path, click_data: PreparedData, tmp_path: Path
) -> None:
    saved = random_model(click_data, "fm", (3,))
    file, run = tmp_path / "m.txt", tmp_path / "run"
    export_model(saved, file, "libfm")
    words = ("import", file, "--format", "libfm", "--like", clicks, "--out", run)
    code, stdout, _ = ran(*words)
    assert code == 0
    assert "auc" in stdout
    assert_same_model(load_model(run / MODEL), saved)
    scores = tmp_path / "scores.parquet"
    assert told("predict", run, clicks, "--out", scores)["n_rows"] == 400
    rows = next(stream(click_data, "test", 400))
    backend = load_backend("numba")
    expected = probability(backend.scores(saved.model, saved.parameters, Batch(*rows)))
    assert np.array_equal(pl.read_parquet(scores)["score"].to_numpy(), expected)


def test_an_imported_run_has_nothing_to_compare(
    rafm_run: Run, clicks: Path, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    told("import", rafm_run.folder / MODEL, "--like", clicks, "--out", back)
    code, _, stderr = ran("compare", rafm_run.folder, back)
    assert code == 2
    assert f"{back}: its model was imported, so there are no epochs" in stderr


def test_equal_models_are_equal_files(click_data: PreparedData, tmp_path: Path) -> None:
    saved = random_model(click_data, "fm", (3,))
    for form in ("npz", "safetensors", "libfm"):
        export_model(saved, tmp_path / "a", form)
        export_model(saved, tmp_path / "b", form)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_of_other_data_is_refused(
    rafm_run: Run, ratings: Path, tmp_path: Path
) -> None:
    file = tmp_path / "m.npz"
    told("export", rafm_run.folder, "--out", file)
    code, _, stderr = ran("import", file, "--like", ratings, "--out", tmp_path / "run")
    assert code == 2
    assert f"{file}: a model of other data than {ratings}: its fingerprint" in stderr
    assert not (tmp_path / "run").exists()


ONE = "#global bias W0\n0\n#unary interactions Wj\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.npz", b"PK", "not a readable .npz file"),
        ("m.npz", b"", "not a readable .npz file"),
        ("m.safetensors", b"{}", "not a readable safetensors file"),
        ("m.libfm", b"1 2 3\n", "whose parts are .*; this file has none of them"),
        ("m.libfm", b"\xff", "not a model of libFM, which is ASCII text"),
        ("m.libfm", ONE.encode(), "this file has .'#global bias W0', '#unary"),
        (
            "m.libfm",
            f"{ONE}1\n2\n#pairwise interactions Vj,f\n".encode(),
            "line 4: '#unary interactions Wj' has 2 lines and needs 1",
        ),
        ("m.bin", b"", "its suffix names no format of models; add --format npz"),
        (None, b"", "no such file; check the path"),
    ],
)
def test_what_is_no_model_is_refused(
    click_data: PreparedData,
    tmp_path: Path,
    name: str | None,
    content: bytes,
    message: str,
) -> None:
    file = tmp_path / (name or "missing.npz")
    if name:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_model(file, click_data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("0.5 x", "line {line}: could not convert string 'x' to float32"),
        ("0.5", "line {line}: holds 1 numbers and needs 2"),
        ("0.5 nan", "line {line}: holds a number that is not finite"),
        ("0.5 1e39", "line {line}: holds a number that is not finite"),
        ("", "line {line}: holds 0 numbers and needs 2"),
    ],
)
@pytest.mark.parametrize("block_numbers", [libfm.BLOCK_NUMBERS, 14, 1])
def test_a_wrong_number_in_libfm_text_is_found_by_its_line(
    click_data: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    message: str,
    block_numbers: int,
) -> None:
    monkeypatch.setattr(libfm, "BLOCK_NUMBERS", block_numbers)
    file = tmp_path / "m.libfm"
    export_model(random_model(click_data, "fm", (2,)), file)
    lines = file.read_text().splitlines()
    lines[-3] = change
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=message.format(line=len(lines) - 2)):
        import_model(file, click_data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"about": None}, "has no array 'about'"),
        ({"about": np.array("{}")}, "array 'about' does not describe a model"),
        ({"features": np.zeros(3, np.int32)}, "must name each of the"),
        (
            {"features": np.arange(100.0)},
            "once, as whole numbers, got float64.100.; exp",
        ),
        ({"features": np.array(["0", "1"])}, "once, as whole numbers, got <U1.2.; exp"),
        ({"features": np.array(0)}, "must name each of the"),
        ({"features": np.array([[0, 1]])}, "must name each of the"),
        ({"linear": np.array(1.0)}, "must name each of the 1 features once"),
        (
            {"linear": np.ones((1, 1), np.float32), "features": np.array([0])},
            r"'linear' must have shape",
        ),
        ({"embeddings.1": np.zeros((2, 2))}, r"'embeddings\.1' must have shape"),
    ],
)
def test_an_npz_with_wrong_arrays_is_refused(
    click_data: PreparedData, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "m.npz"
    export_model(random_model(click_data, "fm", (2,)), file)
    with np.load(file) as opened:
        arrays = {**opened, **change}
    np.savez(file, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(UserError, match=message):
        import_model(file, click_data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "ffm"}, "it needs data of two or more fields, got 1"),
        ({"model": "gbm"}, "unknown model 'gbm'; choose one of lr, fm"),
        ({"features_at_rank": [1]}, "`features_at_rank` must begin with"),
        ({"rank_dims": [0]}, "`rank_dims` must be at least 1, got 0"),
    ],
)
def test_an_npz_that_describes_no_model_is_refused(
    click_data: PreparedData, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "m.npz"
    export_model(random_model(click_data, "fm", (2,)), file)
    with np.load(file) as opened:
        arrays = dict(opened)
    about = json.loads(str(arrays.pop("about")))
    np.savez(file, about=np.array(json.dumps({**about, **change})), **arrays)
    with pytest.raises(UserError, match=message):
        import_model(file, click_data)


def test_an_npz_of_whole_numbers_is_refused(
    click_data: PreparedData, tmp_path: Path
) -> None:
    """Compiled code would be asked for a type that no model has."""
    file = tmp_path / "m.npz"
    export_model(random_model(click_data, "fm", (2,)), file)
    with np.load(file) as opened:
        arrays = dict(opened)
    np.savez(file, **{**arrays, "linear": arrays["linear"].astype(int)})
    with pytest.raises(UserError, match="must be float32 or float64, got int64; cast"):
        import_model(file, click_data)
