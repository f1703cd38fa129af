"""Options: their checks, their files, their precedence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.config_file import config_json, make_config
from rafm_bench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_wins_over_defaults_and_a_flag_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "run.toml", "epochs = 3\nl2 = 0.5\n")
    config = make_config(file, {"l2": 0.25})
    assert (config.epochs, config.l2, config.batch_size) == (3, 0.25, 256)


@pytest.mark.parametrize(
    "options",
    [
        {"ranks": (8, 64), "loss": "square", "dependent_learning_rate": 0.5},
        {"model": "mrma", "optimizer": "adam-dense", "l2_scope": "all"},
        {"model": "ffm", "optimizer": "ftrl", "l1": 0.1, "beta": 0.01},
        {"model": "difacto", "rank_rule": "thresholds", "thresholds": (9,)},
        {"model": "lr", "optimizer": "adagrad-row", "initial_accumulator": 0.5},
    ],
)
def test_a_written_config_reads_back_the_same(
    options: dict[str, Any], tmp_path: Path
) -> None:
    config = TrainConfig(**options)
    file = write(tmp_path, "config.json", config_json(config))
    assert make_config(file, {}) == config


def test_levels_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    text = 'rank_rule = "explicit"\nlevels = "levels.csv"\n'
    config = make_config(write(tmp_path, "run.toml", text), {})
    assert config.levels == str(tmp_path / "levels.csv")


def test_models_have_ranks_of_their_own_by_default() -> None:
    ranks = {name: TrainConfig(model=name).ranks for name in ("lr", "fm", "rafm")}
    assert ranks == {"lr": (), "fm": (32,), "rafm": (32, 128)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "epochs = 3\nspeed = 1\n", "a.toml, line 2: unknown option `speed`"),
        ("a.json", '{\n  "speed": 1\n}', "a.json, line 2: unknown option `speed`"),
        (
            "a.toml",
            'epochs = 1\n\nepochs_ = "x"',
            "a.toml, line 3: unknown option `epochs_`; known ones are model, ranks,",
        ),
        (
            "a.toml",
            'l2 = 0\nepochs = "ten"',
            "a.toml, line 2: `epochs` must be a whole number of at least 1, got 'ten'",
        ),
        (
            "a.toml",
            "ranks = [16, 8]",
            "a.toml, line 1: `ranks` must increase strictly, got 8 after 16",
        ),
        ("a.toml", "l2 = true", "`l2` must be a number of at least 0, got True"),
        ("a.toml", "l2 = = 2", "a.toml: not valid TOML"),
        ("a.json", "[1]", "a.json: must hold option names and values"),
        ("a.yaml", "l2: 2", "a.yaml: config files end in .toml or .json"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        make_config(write(tmp_path, name, text), {})
    assert message in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such config file"):
        make_config(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "svm"}, "`model` must be one of lr, fm, rafm, difacto, mrma, ffm"),
        ({"ranks": "8,8"}, "`ranks` must increase strictly, got 8 after 8"),
        ({"ranks": "0,8"}, "`ranks` must be a whole number of at least 1, got '0'"),
        ({"ranks": "8,x"}, "`ranks` must be a whole number of at least 1, got 'x'"),
        ({"model": "fm", "ranks": (8, 16)}, "takes one rank"),
        ({"model": "lr", "ranks": (8,)}, "takes no ranks"),
        ({"learning_rate": 0}, "`learning_rate` must be a number above 0, got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a number above 0"),
        ({"l2": -1}, "`l2` must be a number of at least 0, got -1"),
        ({"epochs": 1.5}, "`epochs` must be a whole number of at least 1, got 1.5"),
        ({"thresholds": (64,)}, "--thresholds goes with --rank-rule thresholds"),
        ({"rank_rule": "thresholds"}, "--rank-rule thresholds needs --thresholds"),
        ({"rank_rule": "explicit"}, "--rank-rule explicit needs --levels"),
        (
            {"model": "fm", "projection": "algorithm1"},
            "--projection algorithm1 is for the dependent factors of --model rafm, and "
            "--model fm has none; leave it out",
        ),
        (
            {"model": "difacto", "dependent_learning_rate": 0.1},
            "--dependent-learning-rate 0.1 is for the dependent factors",
        ),
        (
            {"round_rows": 4096},
            "--round-rows is for shards, and --shards is 1, got --round-rows 4096",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        TrainConfig(**values)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_none_takes_an_option_back() -> None:
    assert TrainConfig(dependent_learning_rate="none").dependent_learning_rate is None  # type: ignore[arg-type]
    assert TrainConfig(model="lr", ranks="none").ranks == ()  # type: ignore[arg-type]


def test_config_json_holds_every_option_once() -> None:
    written = json.loads(config_json(TrainConfig()))
    assert list(written) == list(TrainConfig.__dataclass_fields__)
