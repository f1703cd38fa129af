"""What a run takes of memory is told, and made to fit, or refused."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rafm_bench import memory_plan
from rafm_bench.config import TrainConfig
from rafm_bench.errors import RunError, UserError
from rafm_bench.execution import Execution
from rafm_bench.job import Job, make_job
from rafm_bench.mapped import LEAST_BYTES, MappedArrays
from rafm_bench.memory import memory_bytes
from rafm_bench.progress import Silent
from rafm_bench.train import train
from rafm_datasets import (
    PreparedData,
    PrepareOptions,
    decoded_bytes,
    prepare,
    window_bytes,
)
from rafm_kernels import OPTIMIZERS, TrainMemory, memory_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_bench.memory_plan import MemoryPlan

BASE = 200 << 20
PLENTY = 1 << 40


@pytest.fixture(scope="module")
def many_groups(clicks: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Row groups of 64 rows: 50 of them to train on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rafm_datasets.schema.GROUP_ROWS", 64)
        patch.setattr("rafm_datasets.schema._GROUPS_PER_PARTITION", (1, 4))
        names = ("train", "valid", "test")
        raw = tuple(str(clicks.parent / f"{name}.libfm") for name in names)
        out = str(tmp_path_factory.mktemp("groups"))
        return prepare(PrepareOptions("libfm", raw, out, "given"))


@pytest.fixture
def known_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a size that tests know."""
    monkeypatch.setattr(memory_plan, "memory_bytes", lambda: BASE)


def job_of(data: PreparedData, config: dict[str, Any], **execution: Any) -> Job:
    return make_job(TrainConfig(**config), data, Silent(), Execution(**execution))


def model_bytes(data: PreparedData, out: Path, **execution: Any) -> bytes:
    config = TrainConfig(epochs=2, ranks=(4, 8), batch_size=64, patience=0)
    train(config, data, out, Silent(), Execution(**execution))
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "execution",
    [
        {"data_in": "disk"},
        {"data_in": "memory", "reader_threads": 2},
        {"data_in": "disk", "reader_threads": 2, "parameters": "mmap"},
        {"memory_limit": "64GiB", "parameters": "mmap"},
    ],
)
def test_the_model_has_the_same_bytes_however_it_is_trained(
    many_groups: PreparedData, tmp_path: Path, execution: dict[str, Any]
) -> None:
    expected = model_bytes(many_groups, tmp_path / "plain")
    assert model_bytes(many_groups, tmp_path / "other", **execution) == expected


def test_another_window_is_another_model_and_recorded(
    many_groups: PreparedData, tmp_path: Path
) -> None:
    models = []
    for window in (2, 8):
        config = TrainConfig(epochs=1, model="fm", ranks=(4,), shuffle_window=window)
        out = tmp_path / str(window)
        assert train(config, many_groups, out, Silent()).config.shuffle_window == window
        models.append((out / "model.safetensors").read_bytes())
    assert models[0] != models[1]


@pytest.mark.usefixtures("known_base")
def test_a_plan_adds_up_what_is_known_beforehand(many_groups: PreparedData) -> None:
    job = job_of(many_groups, {"optimizer": "adam"}, memory_limit=PLENTY)
    plan = memory_plan.plan_memory(job)
    told = memory_of(job.model, job.optimizer)
    assert plan.base == BASE
    assert plan.model == 2 * told.parameters  # with the best ones so far
    assert plan.optimizer == told.optimizer
    assert plan.keeps_rows
    assert plan.rows > decoded_bytes(many_groups, "train")
    parts = (plan.base, plan.model, plan.optimizer, plan.scratch, plan.rows)
    assert plan.total == sum(parts)


@pytest.mark.usefixtures("known_base")
def test_less_memory_keeps_no_rows_then_reads_fewer_windows_ahead(
    many_groups: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_plan, "_VALIDATION_BYTES", 0)
    window = window_bytes(many_groups, "train", 8)
    disk = {"data_in": "disk"}
    full = memory_plan.plan_memory(job_of(many_groups, {}, memory_limit=PLENTY, **disk))
    assert (full.ahead, full.keeps_rows) == (2, False)
    for windows_less, ahead in ((1, 1), (2, 0)):
        limit = full.total - windows_less * window
        for place in ("auto", "disk"):
            job = job_of(many_groups, {}, memory_limit=limit, data_in=place)
            plan = memory_plan.plan_memory(job)
            assert (plan.ahead, plan.keeps_rows) == (ahead, False)
            assert plan.total <= limit
    job = job_of(many_groups, {}, memory_limit=full.total - 2 * window - 1)
    with pytest.raises(UserError, match="shuffle-window below 8"):
        memory_plan.plan_memory(job)


@pytest.mark.usefixtures("known_base")
def test_a_refusal_tells_all_numbers_and_how_to_mend_it(
    many_groups: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = TrainMemory(parameters=300 << 20, optimizer=100 << 20)
    monkeypatch.setattr(memory_plan, "memory_of", lambda *_: large)
    with pytest.raises(UserError) as caught:
        memory_plan.plan_memory(job_of(many_groups, {}, memory_limit="400MiB"))
    text = str(caught.value)
    numbers = ("400 MiB", "program 200 MiB", "model 300 MiB", "optimizer 100 MiB")
    for part in (*numbers, "scratch", "rows"):
        assert part in text
    for mend in ("--memory-limit", "--shuffle-window", "--parameters mmap"):
        assert mend in text


@pytest.mark.usefixtures("known_base")
def test_the_limit_that_a_refusal_names_is_enough(many_groups: PreparedData) -> None:
    with pytest.raises(UserError) as caught:
        memory_plan.plan_memory(job_of(many_groups, {}, memory_limit=1))
    named = str(caught.value).split("--memory-limit ")[1].split()[0]
    memory_plan.plan_memory(job_of(many_groups, {}, memory_limit=named))


@pytest.mark.usefixtures("known_base")
def test_rows_that_are_to_stay_in_memory_are_refused_where_they_do_not_fit(
    many_groups: PreparedData,
) -> None:
    job = job_of(many_groups, {}, memory_limit=BASE, data_in="memory")
    with pytest.raises(UserError, match="--data-in disk"):
        memory_plan.plan_memory(job)


@pytest.mark.usefixtures("known_base")
def test_a_window_that_holds_all_rows_is_not_to_be_made_smaller(
    click_data: PreparedData,
) -> None:
    with pytest.raises(UserError) as caught:
        memory_plan.plan_memory(job_of(click_data, {}, memory_limit=BASE))
    assert "or more" in str(caught.value)
    assert "--shuffle-window" not in str(caught.value)


@pytest.mark.usefixtures("known_base")
def test_where_workers_train_this_process_needs_a_copy_of_the_state_and_no_windows(
    many_groups: PreparedData,
) -> None:
    def plan(shards: int, **place: Any) -> MemoryPlan:
        job = job_of(many_groups, {"shards": shards}, memory_limit=PLENTY, **place)
        return memory_plan.plan_memory(job)

    few, many = plan(2, workers=4), plan(40, workers=4)
    assert few == many
    job = job_of(many_groups, {})
    assert many.scratch == sum(memory_of(job.model, job.optimizer))
    assert "what each worker takes is not counted" in str(many)


@pytest.mark.usefixtures("known_base")
def test_arrays_in_files_are_not_counted_but_told(many_groups: PreparedData) -> None:
    job = job_of(many_groups, {}, memory_limit=PLENTY, parameters="mmap")
    plan = memory_plan.plan_memory(job)
    told = memory_of(job.model, job.optimizer)
    assert plan.in_files == sum(told)
    assert plan.optimizer == 0
    assert "of model in files" in str(plan)


def test_a_run_that_does_not_fit_leaves_nothing(
    many_groups: PreparedData, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="does not fit"):
        model_bytes(many_groups, tmp_path / "run", memory_limit=1)
    assert not (tmp_path / "run").exists()


def test_a_limit_of_nothing_is_refused_and_not_taken_for_none() -> None:
    with pytest.raises(UserError, match="`memory_limit` must be a size above 0"):
        Execution(memory_limit=0)


def test_the_size_of_this_process_is_that_of_a_python_with_numpy() -> None:
    grown = memory_bytes()
    held = np.ones(64 << 20, np.uint8)
    assert memory_bytes() - grown > held.nbytes // 2
    assert grown > 20 << 20


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_large_arrays_are_files_and_go_when_the_run_is_finished(
    many_groups: PreparedData,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rafm_bench.mapped.LEAST_BYTES", 1)
    files: set[str] = set()
    allocate = MappedArrays.__call__

    def seen(self: MappedArrays, array_name: str, n: int, dtype: Any) -> Any:
        found = allocate(self, array_name, n, dtype)
        files.update(path.name for path in self.folder.glob("*.mapped"))
        return found

    monkeypatch.setattr(MappedArrays, "__call__", seen)
    config = TrainConfig(epochs=1, ranks=(4, 8), optimizer=name)  # type: ignore[arg-type]
    train(config, many_groups, tmp_path / "run", Silent(), Execution(parameters="mmap"))
    assert {"bias.mapped", "linear.mapped", "embeddings.mapped"} <= files
    assert ("sums.embeddings.mapped" in files) == (name != "sgd")
    assert not list(tmp_path.rglob("*.mapped"))


@pytest.fixture
def make_array(tmp_path: Path) -> Callable[[int], Any]:
    return lambda n: MappedArrays(tmp_path)("sums.linear", n, np.dtype("float32"))


def test_mapped_arrays_are_plain_zeros_on_cache_lines(
    make_array: Callable[[int], Any], tmp_path: Path
) -> None:
    n = LEAST_BYTES // 4
    array = make_array(n)
    assert type(array) is np.ndarray
    assert array.flags.writeable
    assert array.ctypes.data % 64 == 0
    assert not array.any()
    array += 1
    assert np.fromfile(tmp_path / "sums.linear.mapped", np.float32).sum() == n


def test_an_array_that_is_made_anew_is_zero_again(
    make_array: Callable[[int], Any],
) -> None:
    make_array(LEAST_BYTES)[:] = 5
    assert not make_array(LEAST_BYTES).any()


def test_small_arrays_are_no_files(
    make_array: Callable[[int], Any], tmp_path: Path
) -> None:
    assert not make_array(1).any()
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_for_an_array_is_told(
    make_array: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunError, match=r"sums\.linear\.mapped: No space left"):
        make_array(LEAST_BYTES)
