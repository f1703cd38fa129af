"""Where training starts from, and what its best epoch is chosen by."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.config_file import make_config
from rafm_bench.errors import Interrupted, UserError
from rafm_bench.model_file import load_model
from rafm_bench.progress import Silent
from rafm_bench.resume import resume
from rafm_bench.run import CONFIG, MODEL, Run, read_run
from rafm_bench.tensor_file import hash_file
from rafm_bench.train import train
from rafm_datasets import PreparedData, PrepareOptions, open_prepared, prepare, stream
from rafm_kernels import Batch, init_parameters, init_state, load_backend
from tests.rafm_bench.resuming.conftest import Signals

if TYPE_CHECKING:
    from pathlib import Path

SMALL = TrainConfig(ranks=(2, 8, 16), epochs=2, batch_size=64, seed=3)


def test_a_run_starts_from_the_weights_of_another(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    config = replace(SMALL, init_from=str(rafm_run.folder), learning_rate=1e-12)
    run = train(config, click_data, tmp_path / "run", Silent())
    models = [load_model(one.folder / MODEL).parameters for one in (run, rafm_run)]
    for got, expected in zip(*models, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    model = rafm_run.folder / MODEL
    assert run.result.init_sha256 == hash_file(model).hexdigest()
    assert run.result.init_from == run.config.init_from == str(rafm_run.folder)
    assert rafm_run.result.init_from is None


def test_a_run_that_started_from_another_trains_again_and_resumes(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(rafm_run.folder.parent)
    config = replace(SMALL, init_from=rafm_run.folder.name)
    first = train(config, click_data, tmp_path / "a", Silent())
    monkeypatch.chdir(tmp_path)
    again = make_config(first.folder / CONFIG, {})
    with pytest.raises(Interrupted):
        train(again, click_data, tmp_path / "b", Signals(1))
    resume(tmp_path / "b", None, Silent())
    models = [(tmp_path / name / MODEL).read_bytes() for name in "ab"]
    assert models[0] == models[1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ranks": (2, 8)}, "and here it is .*; start from a run of the same data"),
        ({"model": "fm", "ranks": (16,)}, "; start from a run of the same data, model"),
        ({"dtype": "float64"}, "are float32, and --dtype is float64; give --dtype f"),
        ({"init_from": "/nowhere"}, "/nowhere: not a finished run"),
        ({"init_from": ""}, "`init_from` must be text"),
    ],
)
def test_weights_that_would_not_mean_the_same_are_refused(
    given: dict[str, Any],
    told: str,
    rafm_run: Run,
    click_data: PreparedData,
    tmp_path: Path,
) -> None:
    values: dict[str, Any] = {"init_from": str(rafm_run.folder)} | given

    def attempt() -> Run:
        return train(replace(SMALL, **values), click_data, tmp_path / "run", Silent())

    with pytest.raises(UserError, match=told):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_its_model_is_told_as_such(
    rafm_run: Run, click_data: PreparedData, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(rafm_run.folder, bare)
    (bare / MODEL).unlink()
    config = replace(SMALL, init_from=str(bare))
    with pytest.raises(UserError, match=r"no such model file; .* by --keep-models"):
        train(config, click_data, tmp_path / "run", Silent())


def test_weights_of_other_data_are_refused(
    rafm_run: Run, ratings: Path, tmp_path: Path
) -> None:
    config = replace(SMALL, init_from=str(rafm_run.folder))
    with pytest.raises(UserError, match="; start from a run of the same data"):
        train(config, open_prepared(ratings), tmp_path / "run", Silent())


def test_progressive_validation_is_the_loss_of_rows_not_yet_learnt(
    clicks: Path, tmp_path: Path
) -> None:
    """It needs no rows of validation."""
    raw, out = str(clicks.parent / "train.libfm"), str(tmp_path / "data")
    data = prepare(PrepareOptions("libfm", (raw,), out, fractions=(1.0, 0.0, 0.0)))
    config = TrainConfig(
        model="fm", ranks=(4,), epochs=1, batch_size=64, validation="progressive"
    )
    run = train(config, data, tmp_path / "run", Silent())
    model = load_model(run.folder / MODEL).model
    optimizer, backend = config.make_optimizer(), load_backend("numpy")
    state = init_state(model, optimizer, init_parameters(model, 0))
    total = 0.0
    for rows in stream(data, "train", 64, seed=0, epoch=0):
        batch = Batch(*rows)
        z = backend.scores(model, state.parameters, batch)
        total += float(np.sum(np.logaddexp(0, np.where(batch.labels > 0, -z, z))))
        backend.train(model, state, optimizer, batch, 64)
    assert run.result.valid.keys() == {"log_loss"}
    found = run.result.valid["log_loss"]
    assert found == pytest.approx(total / data.rows("train"), rel=1e-5)
    assert read_run(run.folder).result.best_epoch == 1


def test_progressive_validation_of_ratings(ratings: Path, tmp_path: Path) -> None:
    config = replace(SMALL, epochs=1, validation="progressive")
    valid = train(
        config, open_prepared(ratings), tmp_path / "run", Silent()
    ).result.valid
    assert valid.keys() == {"rmse", "square_loss"}
    assert valid["rmse"] == math.sqrt(valid["square_loss"] or 0) > 0


def test_progressive_validation_of_several_epochs_is_refused() -> None:
    with pytest.raises(UserError, match="--epochs 2; give --epochs 1"):
        replace(SMALL, validation="progressive")
