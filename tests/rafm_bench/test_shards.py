"""Training on shards: what merging promises, and that nothing but N changes a bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rafm_bench.config import TrainConfig
from rafm_bench.engine import check_engine, open_engine
from rafm_bench.errors import UserError
from rafm_bench.execution import Execution
from rafm_bench.job import make_job
from rafm_bench.progress import Silent
from rafm_bench.shards.blocks import blocks_of
from rafm_bench.shards.merging import GAIN_POWER, merge, put, take
from rafm_bench.shards.rounds import Bench, play
from rafm_bench.train import train
from rafm_datasets import rows_of_shard
from rafm_kernels import (
    OPTIMIZERS,
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_batch,
    make_model,
    zero_parameters,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.job import Job
    from rafm_bench.shards.merging import Update
    from rafm_datasets import PreparedData
    from rafm_kernels import Batch, Model, TrainState

TWO_WORKERS = Execution(workers=2)
SPARSE = [name for name in OPTIMIZERS if name != "adam-dense"]


def job_of(data: PreparedData, **options: object) -> Job:
    chosen: dict[str, object] = {"ranks": (2, 8), "batch_size": 32, "seed": 1}
    if "shards" in options:
        chosen["round_rows"] = 300
    return make_job(TrainConfig(**chosen | options), data, Silent())  # type: ignore[arg-type]


def start(job: Job) -> TrainState:
    parameters = init_parameters(job.model, job.config.seed, job.config.dtype)
    return init_state(job.model, job.optimizer, parameters)


def bits(state: TrainState) -> bytes:
    parts = (state.parameters, state.sums, state.moments, (state.step,))
    return b"".join(array.tobytes() for part in parts for array in part)


def update_of(ids: list[int], value: float, count: int) -> Update:
    """An update of LR under AdaGrad whose weights, sums and bias are all `value`."""
    blocks = blocks_of(*zeros(10, "adagrad"))
    for single in blocks.singles:
        single[...] = value
    for block in blocks.rows:
        block[...] = value
    seen = np.array(ids, np.int32)
    return take(blocks, seen, np.full(len(ids), count), count)


def zeros(n_features: int, optimizer: str) -> tuple[TrainState, Model, Optimizer]:
    model = make_model("lr", np.ones(n_features, int), (), loss="log")
    chosen = Optimizer(optimizer)  # type: ignore[arg-type]
    return init_state(model, chosen, zero_parameters(model.layout)), model, chosen


def test_a_feature_is_the_mean_of_the_shards_that_saw_it_weighted_by_rows() -> None:
    state, model, optimizer = zeros(10, "sgd")
    blocks = blocks_of(state, model, optimizer)
    two = [update_of([0, 1], 1.0, 3), update_of([1, 4], 5.0, 1)]
    two = [one._replace(rows=one.rows[:1], singles=one.singles[:1]) for one in two]
    merged = merge(two, blocks, optimizer)
    assert merged.ids.tolist() == [0, 1, 4]
    assert merged.counts.tolist() == [3, 4, 1]
    assert merged.rows[0].ravel().tolist() == [1.0, 3 / 4 * 1 + 1 / 4 * 5, 5.0]
    assert merged.singles[0].tolist() == [2.0]


def test_sums_of_adagrad_gain_less_the_more_shards_saw_a_feature() -> None:
    state, model, optimizer = zeros(10, "adagrad")
    blocks = blocks_of(state, model, optimizer)
    blocks.rows[1][...] = 0.5
    two = [update_of([0, 1], 1.0, 2), update_of([1, 4], 1.0, 2)]
    gains = merge(two, blocks, optimizer).rows[1].ravel() - 0.5
    np.testing.assert_allclose(gains, [0.5, 0.5 / 2**GAIN_POWER, 0.5])


def rows_of_two_fields(n_rows: int) -> Batch:
    """Rows of a user of 20 and an item of 30; the last five items are never seen."""
    draw = np.random.default_rng(0).integers
    ids = np.stack([draw(0, 20, n_rows), draw(20, 45, n_rows)], axis=1).ravel()
    indptr, fields = np.arange(n_rows + 1) * 2, np.tile([0, 1], n_rows)
    return make_batch(indptr, ids, draw(0, 2, n_rows), fields=fields, n_features=50)


@pytest.mark.parametrize("optimizer", SPARSE)
@pytest.mark.parametrize("name", ["lr", "fm", "rafm", "difacto", "mrma", "ffm"])
def test_a_part_is_played_without_a_trace_and_its_update_holds_all_of_it(
    name: str, optimizer: str, click_data: PreparedData
) -> None:
    config = TrainConfig(model=name, optimizer=optimizer, batch_size=32)  # type: ignore[arg-type]
    ranks = {"lr": (), "fm": (4,), "ffm": (2,)}.get(name, (1, 4))
    counts = np.arange(50, 0, -1)
    model = make_model(name, counts, ranks, loss="log", n_fields=2)  # type: ignore[arg-type]
    chosen, backend = config.make_optimizer(), load_backend("numpy")
    state, straight = (
        init_state(model, chosen, init_parameters(model, 1)) for _ in range(2)
    )
    batch, before = rows_of_two_fields(100), bits(state)
    answer = play(Bench(config, click_data, model, chosen, backend), state, batch)
    assert bits(state) == before
    backend.train(model, straight, chosen, batch, 32)
    put(blocks_of(state, model, chosen), answer.update)
    assert bits(state) == bits(straight) != before


@pytest.mark.parametrize("optimizer", SPARSE)
def test_rounds_start_anew_at_any_round(
    optimizer: str, many_groups: PreparedData
) -> None:
    job = job_of(many_groups, optimizer=optimizer, shards=3)
    whole, parts = start(job), start(job)
    with open_engine(job) as engine:
        straight = list(engine.train(job, whole, 1, 0))
    anew = []
    for at in range(len(straight)):
        with open_engine(job) as engine:
            anew.append(next(engine.train(job, parts, 1, at)))
    assert bits(whole) == bits(parts)
    assert [one[:3] for one in anew] == [one[:3] for one in straight]
    assert sum(one.rows for one in straight) == many_groups.rows("train")


def test_ftrl_keeps_its_zeros_through_a_merge(many_groups: PreparedData) -> None:
    job = job_of(many_groups, optimizer="ftrl", l1=0.05, shards=3, learning_rate=0.5)
    state = start(job)
    with open_engine(job) as engine:
        list(engine.train(job, state, 1, 0))
    zero = np.abs(state.moments.linear) <= 0.05
    assert 0 < zero.sum() < zero.size
    assert not state.parameters.linear[zero].any()


def test_every_row_is_in_one_shard(many_groups: PreparedData) -> None:
    sizes = [
        rows_of_shard(many_groups, "train", (shard, 3), seed=1, epoch=2)
        for shard in range(3)
    ]
    assert sum(sizes) == many_groups.rows("train")


def test_more_shards_than_row_groups_are_refused(click_data: PreparedData) -> None:
    with pytest.raises(UserError, match=r"in 1 row groups.*use --shards 1 or less"):
        check_engine(job_of(click_data, shards=2))


def test_an_optimizer_that_moves_every_parameter_is_refused(
    many_groups: PreparedData,
) -> None:
    job = job_of(many_groups, shards=2, optimizer="adam-dense")
    with pytest.raises(UserError, match=r"adam-dense.*--shards 1"):
        check_engine(job)


def test_places_without_shards_are_refused(many_groups: PreparedData) -> None:
    job = job_of(many_groups)
    job = replace(job, execution=TWO_WORKERS)
    with pytest.raises(UserError, match=r"--workers.*--shards"):
        check_engine(job)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"parameters": "mmap"}, r"--parameters mmap is .* the workers of --workers"),
        ({"data_in": "memory"}, r"--data-in memory is .* leave one of them out"),
    ],
)
def test_what_workers_do_not_do_is_refused(
    asked: dict[str, str], told: str, many_groups: PreparedData
) -> None:
    job = job_of(many_groups, shards=2)
    where = Execution(workers=2, **asked)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=told):
        check_engine(replace(job, execution=where))


def test_workers_of_two_kinds_are_refused() -> None:
    with pytest.raises(UserError, match="--workers or --scheduler, not both"):
        Execution(workers=1, scheduler="tcp://127.0.0.1:9")


def test_what_no_engine_can_do_is_refused_before_anything_is_compiled(
    many_groups: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rafm_bench.train.warm_up", pytest.fail)
    with pytest.raises(UserError, match="--shards"):
        train(TrainConfig(), many_groups, tmp_path / "run", Silent(), TWO_WORKERS)
    assert not (tmp_path / "run").exists()
