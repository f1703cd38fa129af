"""A backend that another package brings, found by its entry point."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from rafm_bench import backend_check
from rafm_bench.cli.program import main
from rafm_bench.progress import Silent
from rafm_kernels import MODELS, BackendUnavailable, backend_names, load_backend
from tests.kernels import example_backend

SOURCE = Path(__file__).parents[1] / "kernels" / "example_backend.py"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the example out as an installed package that offers `example`."""
    shutil.copy(SOURCE, tmp_path / "example_of_a_backend.py")
    info = tmp_path / "example_of_a_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: example-of-a-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rafm_kernels.backends]\nexample = example_of_a_backend\n"
        "absent = a_library_that_is_not_here\nhalf = example_of_a_backend:nothing\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def ran(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("installed")
def test_a_backend_of_another_package_is_listed_after_ours() -> None:
    ours = ("numpy", "numba", "numba-parallel")
    assert backend_names() == (*ours, "absent", "example", "half")
    assert load_backend("example").__name__ == "example_of_a_backend"  # type: ignore[attr-defined]
    code, stdout, _ = ran("backends", "--json")
    checks = {one["name"]: one for one in json.loads(stdout)["backends"]}
    assert code == 0
    assert checks["example"]["agrees"]
    assert (checks["example"]["models"], checks["example"]["refused"]) == (
        ["rafm"],
        ["adagrad"],
    )
    assert not checks["absent"]["available"]


def offered(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """Offer the example, with these functions replaced, as the one backend."""
    given = SimpleNamespace(**{**vars(example_backend), **functions})
    monkeypatch.setattr(backend_check, "backend_names", lambda: ("given",))
    monkeypatch.setattr(
        backend_check,
        "load_backend",
        lambda name: given if name == "given" else load_backend(name),
    )


def only(*models: str) -> Any:
    """Make the example's `train` refuse the other models."""

    def train(model: Any, *arguments: Any) -> Any:
        if model.name not in models:
            raise NotImplementedError(f"has no {model.name}")
        return example_backend.train(model, *arguments)

    return train


@pytest.mark.parametrize(
    ("models", "refused"),
    [(["fm", "lr"], ["rafm", "adagrad"]), (["lr"], ["rafm", "fm", "adagrad"])],
)
def test_a_backend_is_checked_in_what_it_computes(
    monkeypatch: pytest.MonkeyPatch, models: list[str], refused: list[str]
) -> None:
    offered(monkeypatch, train=only(*models))
    code, stdout, _ = ran("backends", "--json")
    (check,) = json.loads(stdout)["backends"]
    assert (code, check["agrees"], check["problem"]) == (0, True, None)
    assert (check["models"], check["refused"]) == (models[:1], refused)
    _, stdout, _ = ran("backends")
    assert f"in {models[0]}; has no {', '.join(refused)}" in stdout


def test_all_models_are_checked_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch)
    code, stdout, _ = ran("backends", "--all-models", "--json")
    (check,) = json.loads(stdout)["backends"]
    assert (code, check["agrees"]) == (0, True)
    assert check["models"] == ["rafm", "fm", "lr"]
    assert check["refused"] == ["adagrad", "difacto", "mrma", "ffm"]


def test_all_models_of_the_reference_can_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend_check, "backend_names", lambda: ("numpy",))
    (check,) = backend_check.check_backends(Silent(), all_models=True)
    assert set(check.models) == set(MODELS)
    assert (check.difference, check.refused) == (0, ())


def off(*arguments: Any) -> Any:
    return example_backend.scores(*arguments) * (1 + 1e-9)


def not_finite(*arguments: Any) -> Any:
    return example_backend.scores(*arguments) * np.nan


def levels_off(*arguments: Any) -> Any:
    return example_backend.level_scores(*arguments) + 1e-9


def broken(*_: Any) -> Any:
    raise RuntimeError("no device")


@pytest.mark.parametrize(
    ("functions", "told"),
    [
        ({"scores": off}, "DIFFERS by 1e-09 in rafm"),
        ({"level_scores": levels_off}, "DIFFERS by"),
        ({"scores": not_finite}, "computes numbers that are not finite"),
        ({"scores": broken}, "RuntimeError: no device"),
        ({"train": only()}, "computes none of rafm, fm, lr, difacto, mrma, ffm"),
    ],
)
def test_a_backend_that_is_wrong_is_told_by_word_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, functions: dict[str, Any], told: str
) -> None:
    offered(monkeypatch, **functions)
    code, stdout, stderr = ran("backends")
    assert code == 1
    assert told in stdout
    assert stderr.splitlines()[-1].startswith(
        "rafm-bench: given: does not compute what numpy does; choose another backend"
    )
    code, stdout, _ = ran("backends", "--json")
    assert (code, json.loads(stdout)["backends"][0]["agrees"]) == (1, False)


@pytest.mark.usefixtures("installed")
def test_a_backend_whose_library_is_absent_is_one_sentence(
    clicks: Path, tmp_path: Path
) -> None:
    words = ("--model", "lr", "--backend", "absent", "--out", tmp_path / "run")
    code, stdout, stderr = ran("train", clicks, *words)
    assert (code, stdout) == (2, "")
    assert stderr.splitlines()[-1] == (
        "rafm-bench: backend 'absent' of example-of-a-backend cannot be imported: No "
        "module named 'a_library_that_is_not_here'; install what it needs, or choose "
        "another backend"
    )


@pytest.mark.usefixtures("installed")
def test_an_entry_point_without_its_attribute_is_one_sentence() -> None:
    with pytest.raises(BackendUnavailable, match=r"'half' of example-of-a-b.*nothing"):
        load_backend("half")


@pytest.mark.usefixtures("installed")
def test_a_name_that_two_packages_offer_is_refused(tmp_path: Path) -> None:
    info = tmp_path / "rival_backend-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: rival-backend\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(
        "[rafm_kernels.backends]\nexample = rival_backend\n"
    )
    assert backend_names().count("example") == 1
    with pytest.raises(
        ValueError, match="offered by example-of-a-backend and rival-backend; uninstall"
    ):
        load_backend("example")


@pytest.mark.usefixtures("installed")
def test_it_trains_what_ours_trains(clicks: Path, tmp_path: Path) -> None:
    words = ("--model", "fm", "--ranks", "2", "--optimizer", "sgd", "--epochs", 1)
    found = {}
    for backend in ("example", "numba"):
        out = tmp_path / backend
        code, stdout, stderr = ran(
            "train", clicks, *words, "--backend", backend, "--out", out, "--json"
        )
        assert code == 0, stderr
        found[backend] = json.loads(stdout)["test"]["log_loss"]
    assert found["example"] == pytest.approx(found["numba"], rel=1e-5)


@pytest.mark.usefixtures("installed")
def test_what_it_does_not_compute_is_one_sentence(clicks: Path, tmp_path: Path) -> None:
    words = ("--model", "fm", "--backend", "example", "--out", tmp_path / "run")
    code, stdout, stderr = ran("train", clicks, *words)
    assert (code, stdout) == (2, "")
    assert stderr.splitlines()[-1] == (
        "rafm-bench: the example has no optimizer adagrad; choose another --backend"
    )
