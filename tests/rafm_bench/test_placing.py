"""Which worker plays which shard, and when another one is asked."""

from __future__ import annotations

import pytest

from rafm_bench.shards.pieces import Piece
from rafm_bench.shards.placing import (
    LEAST_SECONDS,
    SETTLING_SECONDS,
    TIMES_LONGER,
    Attempt,
    Homes,
    Pace,
)
from rafm_bench.shards.rounds import Part


def settled(**homes: list[int]) -> Homes:
    made = Homes()
    for worker, shards in homes.items():
        for shard in shards:
            made.settle(shard, worker)
    return made


def attempt(seconds: float, *, settling: bool = False) -> Attempt:
    made = Attempt(Part(0, 0, 0), "a", 0, settling)
    made.started -= seconds
    return made


def test_a_worker_is_given_its_own_shard_first() -> None:
    homes = settled(a=[2], b=[0, 1])
    assert homes.choose("a", [0, 1, 2]) == 2
    assert homes.choose("b", [0, 1, 2]) == 0


def test_a_shard_without_a_home_goes_to_whoever_is_idle() -> None:
    assert settled(a=[0]).choose("b", [0, 1]) == 1


def test_a_new_worker_takes_a_shard_only_where_that_evens_the_loads() -> None:
    assert settled(a=[0, 1]).choose("new", [1]) == 1
    assert settled(a=[0]).choose("new", [0]) is None
    assert settled(a=[0, 1], b=[2]).choose("b", [1]) is None


def test_a_shard_whose_worker_is_gone_goes_to_another_one() -> None:
    homes = settled(a=[0], b=[1])
    homes.keep({"b"})
    assert homes.choose("b", [0]) == 0


def test_a_shard_whose_worker_is_silent_goes_to_another_one() -> None:
    homes = settled(a=[0], b=[1])
    homes.leave("a")
    assert homes.choose("b", [0]) == 0


def test_an_answer_may_take_some_times_longer_than_the_longest_of_late() -> None:
    pace = Pace()
    for seconds in (1.0, 3.0, 2.0):
        pace.note(attempt(seconds))
    assert pace.patience(attempt(0)) == pytest.approx(3 * TIMES_LONGER, rel=0.01)


def test_short_answers_make_no_hurry() -> None:
    pace = Pace()
    pace.note(attempt(0.001))
    assert pace.patience(attempt(0)) == LEAST_SECONDS


def test_who_begins_has_time_to_compile_and_to_read() -> None:
    pace = Pace()
    assert pace.patience(attempt(0)) == SETTLING_SECONDS
    pace.note(attempt(50.0, settling=True))
    pace.note(attempt(0.001))
    assert pace.patience(attempt(0)) == LEAST_SECONDS
    assert pace.patience(attempt(0, settling=True)) == SETTLING_SECONDS


def test_scoring_and_training_have_a_pace_of_their_own() -> None:
    pace = Pace()
    pace.note(attempt(0.001))
    piece = Attempt(Piece("valid", 0), "a", 0, settling=False)
    assert pace.patience(piece) == SETTLING_SECONDS
