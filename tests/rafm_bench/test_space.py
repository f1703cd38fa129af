"""What a search tries: lists, ranges, and the configs made of them."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_bench.errors import UserError
from rafm_bench.fingerprint import config_fingerprint
from rafm_bench.space import Span, Trial, draws, grid, read_space, size_text


def options(trials: list[Trial]) -> list[str]:
    return [str(trial) for trial in trials]


def test_a_grid_is_every_combination_in_the_order_of_the_options() -> None:
    space = read_space(["l2=1e-6,1e-5", "ranks=2:8,4"])
    trials = grid(space, {"model": "rafm", "epochs": 3})
    assert options(trials) == [
        "ranks=2,8 l2=1e-06",
        "ranks=2,8 l2=1e-05",
        "ranks=4 l2=1e-06",
        "ranks=4 l2=1e-05",
    ]
    assert {trial.config.epochs for trial in trials} == {3}
    assert trials[0].config.ranks == (2, 8)
    assert trials[0].name == config_fingerprint(trials[0].config)[:12]
    assert size_text(space) == "2 ranks x 2 l2"


def test_equal_configs_are_one_trial() -> None:
    assert len(grid(read_space(["l2=1e-6,0.000001"]), {})) == 1
    same = read_space(["dependent-learning-rate=none,0.1"])
    assert len(grid(same, {})) == 2


def test_more_draws_begin_with_the_same_ones() -> None:
    space = read_space(["learning-rate=0.001..0.3", "model=fm,lr"])
    few, many = draws(space, {}, 5, seed=1), draws(space, {}, 12, seed=1)
    assert options(many[:5]) == options(few)
    assert options(draws(space, {}, 5, seed=2)) != options(few)
    assert len({trial.name for trial in many}) == 12


def test_draws_from_lists_are_as_many_as_there_are() -> None:
    trials = draws(read_space(["l2=0,1e-6,1e-5"]), {}, 10, seed=0)
    assert sorted(trial.config.l2 for trial in trials) == [0, 1e-6, 1e-5]


def test_a_range_is_drawn_evenly_by_powers_of_ten_and_stays_inside() -> None:
    generator = np.random.default_rng(0)
    drawn = np.array([Span(1e-4, 1.0, whole=False).draw(generator) for _ in range(999)])
    assert drawn.min() >= 1e-4
    assert drawn.max() <= 1.0
    decades = np.bincount(np.floor(np.log10(drawn)).astype(int) + 4)[:4]
    assert decades.min() > 200
    assert all(float(f"{one:.3g}") == one for one in drawn)
    sizes = {Span(64, 70, whole=True).draw(generator) for _ in range(99)}
    assert sizes == set(range(64, 71))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning-rate", "must be an option and its values"),
        ("learning-rate=", "must be an option and its values"),
        ("rate=0.1", "rate cannot be searched; what can: model, ranks"),
        ("threads=1,2", "threads cannot be searched"),
        ("loss=log,square", "loss cannot be searched"),
        ("validation=split", "validation cannot be searched"),
        ("learning-rate=0.1,x", "--grid learning-rate: must be a number above 0, got"),
        ("ranks=8:4", "--grid ranks: must increase strictly"),
        ("ranks=8..64", "--grid ranks: only numbers have ranges"),
        ("l2=0..1", "a range goes from a number above 0 up to a larger one, got 0..1"),
        ("l2=1..1e-3", "up to a larger one, got 1..1e-3"),
        ("l2=1e-6..", "--grid l2: must be a number"),
        ("dependent-learning-rate=none..1", "a range goes from a number"),
    ],
)
def test_a_wrong_grid_is_told_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read_space([text])
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_option_is_searched_once() -> None:
    with pytest.raises(UserError, match="l2 is searched twice"):
        read_space(["l2=1", "l2=2"])


def test_a_range_needs_draws() -> None:
    with pytest.raises(UserError, match=r"--grid learning-rate: a range .* --random N"):
        grid(read_space(["learning-rate=0.1..0.2"]), {})


def test_a_trial_that_cannot_be_is_told_before_any_is_run() -> None:
    with pytest.raises(UserError, match=r"the trial model=fm ranks=2,8 cannot be: "):
        grid(read_space(["model=rafm,fm", "ranks=2:8"]), {})
