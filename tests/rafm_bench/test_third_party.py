"""A backend that another package brings, found by its entry point."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rafm_bench.cli.program import main
from rafm_kernels import BackendUnavailable, backend_names, load_backend

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
    assert not checks["absent"]["available"]


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
