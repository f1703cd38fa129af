"""A full or read-only disk: one sentence, the exit code, nothing that looks finished.

The disk is a tmpfs of some KiB, mounted in a namespace of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rafm_datasets import PrepareOptions, generate, prepare
from rafm_datasets.files import sha256_of

DRIVER = """
import contextlib, io, json, subprocess, sys
from pathlib import Path
from rafm_bench.cli.program import main
from rafm_datasets.files import sha256_of

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "disk", disk], check=True)

def remount(options):
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)

def run(*arguments):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(list(arguments))
        except SystemExit as stop:
            return stop.code, said.getvalue()

def tree(folder):
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): sha256_of(p) for p in files}

disk, steps = json.load(sys.stdin)
json.dump([globals()[name](*rest) for name, *rest in steps], sys.stdout)
"""


NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@cache
def why_none_can_be_mounted() -> str:
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "disk", "/tmp"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr if done.returncode else ""


def on_disk(disk: Path, *steps: tuple[str, ...]) -> list[Any]:
    """Run steps in a process that may mount; return what each returned."""
    disk.mkdir(exist_ok=True)
    if reason := why_none_can_be_mounted():
        pytest.skip(f"a small disk cannot be mounted here: {reason}")
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", DRIVER],
        input=json.dumps([str(disk), steps]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    return results


def is_one_sentence(said: str, *parts: str) -> bool:
    # A progress line may stand before it.
    last = said.rstrip("\n").splitlines()[-1]
    return (
        last.startswith("rafm-bench: ")
        and "Traceback" not in said
        and all(part in last for part in parts)
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("raw") / "train.txt"
    generate("criteo", 3000, 1, str(file))
    return file


@pytest.mark.parametrize("kib", [0, 700, 1300])
def test_prepare_on_a_full_disk_fails_and_goes_on_once_there_is_room(
    kib: int, raw: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    out = str(disk / "out")
    command = ("run", "prepare", "criteo", str(raw), "--out", out)
    _, (code, said), (opened, message), _, (resumed, _), found = on_disk(
        disk,
        ("mount", f"size={max(kib, 4)}k"),
        command,
        ("run", "inspect", out),
        ("remount", "size=64m"),
        command,
        ("tree", out),
    )
    assert code == 1
    assert is_one_sentence(said, f"cannot write {disk}", "No space left", "free some")
    assert opened == 2
    assert is_one_sentence(message, out)
    assert resumed == 0
    straight = prepare(PrepareOptions("criteo", (str(raw),), str(tmp_path / "out")))
    assert found == on_disk(tmp_path / "x", ("tree", str(straight.folder)))[0]


def test_prepare_into_a_read_only_place_is_the_users_to_mend(
    raw: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    out = str(disk / "out")
    command = ("run", "prepare", "criteo", str(raw), "--out", out)
    _, (code, said) = on_disk(disk, ("mount", "ro"), command)
    assert code == 2
    assert is_one_sentence(said, f"cannot write {out}", "Read-only", "another --out")


@pytest.fixture(scope="module")
def trained(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("trained")
    data, run = str(folder / "data"), str(folder / "run")
    train = ("run", "train", data, "--model", "lr", "--backend", "numpy")
    results = on_disk(
        folder / "disk",
        ("run", "prepare", "criteo", str(raw), "--out", data),
        (*train, "--epochs", "1", "--out", run),
    )
    assert [code for code, _ in results] == [0, 0], results
    return {"data": data, "run": run}


@pytest.mark.parametrize(
    "command",
    [
        "generate criteo --rows 2000 --out {out}",
        "generate criteo --rows 9000 --out {out}.gz",
        "train {data} --model lr --backend numpy --epochs 1 --out {out}",
        "predict {run} {data} --split train --out {out}",
        "compare {run} {run} --html {out}.html",
        "inspect {data} --plot {out}.png",
    ],
)
@pytest.mark.parametrize("options", ["size=8k", "ro"])
def test_whatever_is_written_is_there_whole_or_not_at_all(
    command: str, options: str, trained: dict[str, str], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    words = command.format(out=disk / "out", **trained).split()
    _, (code, said), left = on_disk(
        disk, ("mount", options), ("run", *words), ("tree", str(disk))
    )
    assert code == (1 if options == "size=8k" else 2), said
    assert is_one_sentence(said, "cannot write", str(disk))
    assert left == {}


def test_training_on_a_disk_that_fills_up_goes_on_from_its_last_checkpoint(
    trained: dict[str, str], tmp_path: Path
) -> None:
    """There is room for a checkpoint and the best model, not for two checkpoints."""
    disk = tmp_path / "disk"
    model = (Path(trained["run"]) / "model.safetensors").stat().st_size
    train = ("run", "train", trained["data"], "--model", "lr", "--backend", "numpy")
    lasting = (*train, "--epochs", "3", "--patience", "0", "--out")
    out, straight = str(disk / "out"), str(tmp_path / "straight")
    resume = ("run", "train", "--resume", out)
    _, done, (code, said), left, (again, _), kept, _, (resumed, _), ends = on_disk(
        disk,
        ("mount", f"size={4 * model}"),
        ("run", *lasting[1:], straight),
        ("run", *lasting[1:], out, "--checkpoint-every", "1steps"),
        ("tree", out),
        resume,
        ("tree", out),
        ("remount", "size=64m"),
        resume,
        ("tree", out),
    )
    assert (done[0], code, again, resumed) == (0, 1, 1, 0)
    assert is_one_sentence(said, "No space left", "the last checkpoint stays", out)
    assert left["checkpoint/state.safetensors"] == kept["checkpoint/state.safetensors"]
    expected = sha256_of(Path(straight) / "model.safetensors")
    assert ends["model.safetensors"] == expected
