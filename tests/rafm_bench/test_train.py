"""Training runs: what they write, that they repeat, that they appear whole."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from rafm_bench import compiling, engine, states
from rafm_bench.compare import compare
from rafm_bench.config import TrainConfig
from rafm_bench.config_file import make_config
from rafm_bench.errors import Interrupted, RunError, UserError
from rafm_bench.evaluate import evaluate
from rafm_bench.model_file import load_model
from rafm_bench.progress import Silent
from rafm_bench.run import CONFIG, HISTORY, MODEL, PROGRESS, RESULT, Run, read_run
from rafm_bench.tables import show_comparison
from rafm_bench.train import train
from rafm_datasets import PreparedData, PrepareOptions, open_prepared, prepare, stream
from rafm_kernels import (
    Batch,
    Optimizer,
    Parameters,
    init_parameters,
    init_state,
    load_backend,
    make_model,
    state_arrays,
    state_from_arrays,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = [CONFIG, HISTORY, MODEL, PROGRESS, RESULT]
SMALL = TrainConfig(ranks=(2, 8), epochs=2, batch_size=64)


def test_a_run_holds_its_files_and_reads_back(rafm_run: Run) -> None:
    assert sorted(file.name for file in rafm_run.folder.iterdir()) == sorted(FILES)
    assert read_run(rafm_run.folder) == rafm_run


def test_result_json_has_the_keys_that_scripts_read(rafm_run: Run) -> None:
    result = json.loads((rafm_run.folder / RESULT).read_text(encoding="utf-8"))
    wanted = {
        "model": "rafm",
        "ranks": [2, 8, 16],
        "backend": "numba",
        "n_rows_per_epoch": 3200,
    }
    assert wanted.items() <= result.items()
    assert set(result["test"]) == {"log_loss", "auc", "brier", "calibration"}
    assert set(result["epochs"][0]) >= {
        "epoch",
        "train_loss",
        "valid",
        "seconds",
        "rows_per_second",
    }
    assert result["n_parameters"] > 0
    assert result["peak_memory_bytes"] > 2**20
    assert result["predicted_cost"]["ratio"] > 0
    assert {"rafm-bench", "numpy", "numba"} <= set(result["versions"])


def test_the_best_epoch_has_the_least_validation_loss(rafm_run: Run) -> None:
    losses = [epoch.valid["log_loss"] for epoch in rafm_run.result.epochs]
    assert rafm_run.result.best_epoch == 1 + int(np.argmin(np.array(losses)))
    assert rafm_run.result.valid["log_loss"] == min(map(float, map(str, losses)))


def test_history_has_the_loss_of_every_level(rafm_run: Run) -> None:
    with (rafm_run.folder / HISTORY).open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["epoch"] for row in rows] == [
        str(epoch.epoch) for epoch in rafm_run.result.epochs
    ]
    assert {"level_1_loss", "level_2_loss", "level_3_loss"} <= set(rows[0])
    assert rows[0]["level_3_loss"] == rows[0]["train_loss"]


def test_what_is_learnt_beats_the_linear_model(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    config = TrainConfig(model="lr", epochs=4, batch_size=64)
    linear = train(config, click_data, tmp_path / "lr", Silent())
    assert rafm_run.result.test is not None
    assert linear.result.test is not None
    assert float(str(rafm_run.result.test["auc"])) > 0.03 + float(
        str(linear.result.test["auc"])
    )


def test_the_same_seed_writes_the_same_bytes_with_any_threads_and_chunks(
    click_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(SMALL, click_data, tmp_path / "a", Silent())
    train(replace(SMALL, threads=2), click_data, tmp_path / "b", Silent())
    monkeypatch.setattr(engine, "CHUNK_ROWS", 100)
    train(SMALL, click_data, tmp_path / "c", Silent())
    threads = replace(SMALL, backend="numba-parallel", threads=2)
    train(threads, click_data, tmp_path / "d", Silent())
    train(replace(SMALL, seed=1), click_data, tmp_path / "e", Silent())
    first, *others = [(tmp_path / name / MODEL).read_bytes() for name in "abcde"]
    assert [first == other for other in others] == [True, True, True, False]


@pytest.mark.parametrize("model", ["lr", "fm", "rafm"])
def test_evaluate_repeats_the_test_figures_exactly(
    model: str, ratings: Path, tmp_path: Path
) -> None:
    config = TrainConfig(model=model, epochs=2, learning_rate=0.05)  # type: ignore[arg-type]
    run = train(config, open_prepared(ratings), tmp_path / "run", Silent())
    assert run.result.loss == "square"
    assert evaluate(run, None, "test", Silent()).metrics == run.result.test
    assert evaluate(run, ratings, "valid", Silent()).metrics == run.result.valid


def test_a_written_config_trains_the_same_model_again(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    config = make_config(rafm_run.folder / CONFIG, {})
    again = train(config, click_data, tmp_path / "again", Silent())
    models = [run.folder / MODEL for run in (rafm_run, again)]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_the_model_file_alone_tells_the_model(rafm_run: Run) -> None:
    saved = load_model(rafm_run.folder / MODEL)
    assert saved.model.layout.rank_dims == (2, 8, 16)
    assert saved.data_fingerprint == rafm_run.result.data_fingerprint
    assert saved.parameters.linear.dtype == np.float32


def test_data_without_test_rows_is_trained_on_and_said_to_be_untested(
    clicks: Path, tmp_path: Path
) -> None:
    raw, out = str(clicks.parent / "train.libfm"), str(tmp_path / "data")
    options = PrepareOptions("libfm", (raw,), out, fractions=(0.9, 0.1, 0.0))
    run = train(SMALL, prepare(options), tmp_path / "run", Silent())
    assert run.result.test is None
    assert run.result.notes == ("the data holds no test rows: nothing was tested",)
    with pytest.raises(UserError, match="split 'test' holds no rows"):
        evaluate(run, None, "test", Silent())


def test_data_without_validation_rows_is_refused(clicks: Path, tmp_path: Path) -> None:
    raw, out = str(clicks.parent / "train.libfm"), str(tmp_path / "data")
    options = PrepareOptions("libfm", (raw,), out, fractions=(0.9, 0.0, 0.1))
    data = prepare(options)
    with pytest.raises(UserError, match="split valid holds no rows"):
        train(SMALL, data, tmp_path / "run", Silent())


def test_patience_ends_training(click_data: PreparedData, tmp_path: Path) -> None:
    config = replace(SMALL, epochs=50, patience=2, learning_rate=1.0)
    result = train(config, click_data, tmp_path / "run", Silent()).result
    assert len(result.epochs) == result.best_epoch + 2 < 50


def test_ftrl_runs_tell_how_many_numbers_are_not_zero(
    click_data: PreparedData, tmp_path: Path
) -> None:
    config = replace(SMALL, optimizer="ftrl", learning_rate=0.5, beta=0.1, l1=0.01)
    run = train(config, click_data, tmp_path / "run", Silent())
    parameters = load_model(run.folder / MODEL).parameters
    not_zero = sum(np.count_nonzero(array) for array in parameters)
    assert 0 < run.result.n_nonzero == not_zero < run.result.n_parameters / 2
    shown = io.StringIO()
    show_comparison(compare([run]), Console(width=200, file=shown))
    assert f"{not_zero:,}" in shown.getvalue()


def test_a_state_goes_through_a_file_and_training_on_gives_the_same_bits(
    click_data: PreparedData, tmp_path: Path
) -> None:
    model = make_model("fm", click_data.train_counts(), (4,), loss="log")
    optimizer, backend = Optimizer("adam", 0.01), load_backend("numba")
    batch = Batch(*next(stream(click_data, "train", 640)))
    state = init_state(model, optimizer, init_parameters(model, 0))
    backend.train(model, state, optimizer, batch, 64)
    save_file(state_arrays(state, model), tmp_path / "state.safetensors")
    written = load_file(tmp_path / "state.safetensors")
    read = state_from_arrays(written, model, optimizer)
    for one in (state, read):
        backend.train(model, one, optimizer, batch, 64)
    expected = state_arrays(state, model)
    for name, array in state_arrays(read, model).items():
        assert array.tobytes() == expected[name].tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_at_the_end_of_an_epoch_stops_training(
    click_data: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: float,
) -> None:
    """Also one that no row of training ever reads."""

    def spoilt(*arguments: Any) -> Parameters:
        parameters = init_parameters(*arguments)
        parameters.linear[-1] = bad
        return parameters

    assert click_data.train_counts()[-1] == 0
    monkeypatch.setattr(states, "init_parameters", spoilt)
    with pytest.raises(
        RunError, match=r"a weight is not finite, found after step 50 \(epoch 1\) with"
    ):
        train(SMALL, click_data, tmp_path / "run", Silent())


def test_a_loss_that_is_not_finite_stops_with_the_step_and_leaves_nothing(
    click_data: PreparedData, tmp_path: Path
) -> None:
    config = replace(SMALL, learning_rate=1e30)
    with pytest.raises(RunError, match=r"not finite at step \d+ .* 1e\+30; try"):
        train(config, click_data, tmp_path / "run", Silent())
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing(
    click_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(compiling, "stream", interrupt)
    with pytest.raises(Interrupted, match="nothing is left of"):
        train(SMALL, click_data, tmp_path / "run", Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_is_refused(rafm_run: Run, click_data: PreparedData) -> None:
    with pytest.raises(UserError, match="exists already"):
        train(SMALL, click_data, rafm_run.folder, Silent())


def test_log_loss_is_refused_for_ratings(ratings: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="loss log needs labels 0 and 1"):
        train(
            replace(SMALL, loss="log"),
            open_prepared(ratings),
            tmp_path / "run",
            Silent(),
        )


def test_threads_that_a_backend_does_not_use_are_told(
    click_data: PreparedData, tmp_path: Path
) -> None:
    said: list[str] = []

    class Ear(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    train(TrainConfig(threads=2, epochs=1), click_data, tmp_path / "run", Ear())
    assert "backend numba uses one thread; numba-parallel uses --threads" in said
