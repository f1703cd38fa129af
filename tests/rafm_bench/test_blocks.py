"""Epochs and metrics by random blocks, the authors' protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rafm_bench.blocks import block_auc, block_starts, random_blocks, take_blocks
from rafm_bench.config import TrainConfig
from rafm_bench.evaluate import evaluate
from rafm_bench.job import make_job
from rafm_bench.progress import Silent
from rafm_bench.states import first_state
from rafm_bench.train import train
from rafm_kernels import Batch

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_datasets import PreparedData

PAPER = TrainConfig(
    ranks=(2, 8),
    rank_rule="thresholds",
    thresholds=(8,),
    optimizer="adam-dense",
    learning_rate=1e-2,
    l2_scope="all",
    batch_size=64,
    blocks=30,
    epochs=2,
    backend="numpy",
)


def test_a_run_by_blocks_counts_their_rows_and_measures_close_to_all_rows(
    click_data: PreparedData, tmp_path: Path
) -> None:
    run = train(PAPER, click_data, tmp_path / "run", Silent())
    assert run.result.n_rows_per_epoch == 30 * 64
    whole = evaluate(run, None, "test", Silent()).metrics
    assert run.result.test is not None
    for name in ("log_loss", "auc"):
        of_blocks, of_all = run.result.test[name], whole[name]
        assert of_blocks != of_all
        assert of_blocks == pytest.approx(of_all, abs=0.05)


def test_an_epoch_that_goes_on_at_a_block_ends_with_the_same_weights(
    ratings_data: PreparedData,
) -> None:
    config = replace(PAPER, blocks=1100)
    job = make_job(config, ratings_data, Silent())
    whole, broken = first_state(job), first_state(job)
    for _ in random_blocks(job, whole, 1, 0):
        pass
    first = next(random_blocks(job, broken, 1, 0))
    assert 0 < first.at < config.blocks
    for _ in random_blocks(job, broken, 1, first.at):
        pass
    for one, other in zip(whole.parameters, broken.parameters, strict=True):
        np.testing.assert_array_equal(one, other)


def test_blocks_are_neighbouring_rows_with_their_entries() -> None:
    rows = Batch(
        np.array([0, 1, 3, 6]),
        np.arange(6, dtype=np.int32),
        None,
        None,
        np.array([0, 1, 0], np.float32),
    )
    taken = take_blocks(rows, np.array([1, 0]), 2)
    assert taken.indptr.tolist() == [0, 2, 5, 6, 8]
    assert taken.ids.tolist() == [1, 2, 3, 4, 5, 0, 1, 2]
    assert taken.labels.tolist() == [1, 0, 0, 1]


def test_every_start_leaves_room_for_a_block() -> None:
    starts = block_starts(10, 7, 500, (0, 1, 0))
    assert set(starts.tolist()) == {0, 1, 2, 3}
    assert block_starts(5, 7, 3, (0,)).tolist() == [0, 0, 0]


def test_the_auc_of_a_block_is_the_share_of_pairs_in_order() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    positive = np.array([False, True, False, True])
    assert block_auc(scores, positive) == pytest.approx(3.5 / 4)
    assert block_auc(scores, np.ones(4, bool)) is None


def test_ratings_by_blocks_are_clipped_to_the_range_of_labels(
    ratings_data: PreparedData, tmp_path: Path
) -> None:
    run = train(PAPER, ratings_data, tmp_path / "run", Silent())
    assert set(run.result.test or {}) == {"rmse", "square_loss"}
    whole = evaluate(run, None, "test", Silent()).metrics
    assert run.result.test is not None
    assert (run.result.test["rmse"] or 0) <= (whole["rmse"] or 0) * 1.2
