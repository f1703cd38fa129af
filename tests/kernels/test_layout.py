"""Rank layouts: rules, sizes, costs, permutations, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from rafm_kernels import (
    Model,
    Optimizer,
    RankLayout,
    init_parameters,
    init_state,
    load_backend,
    make_batch,
    make_model,
    tables,
)

COUNTS = [900, 300, 70, 70, 9, 1, 0]


def test_a_linear_model_has_no_level_and_fm_has_one():
    assert RankLayout.from_counts(COUNTS, ()).n_parameters == 8
    fm = RankLayout.from_counts(COUNTS, (4,))
    assert fm.features_at_rank == (7,)
    assert fm.n_parameters == 1 + 7 + 28


def test_eq_17_cuts_between_ranks_at_the_geometric_mean():
    layout = RankLayout.from_counts(COUNTS, (4, 64, 256))
    assert layout.features_at_rank == (7, 4, 2)  # n > 16, n > 128
    assert layout.level_of([[0, 2], [4, 6]]).tolist() == [[3, 2], [1, 1]]


def test_thresholds_are_passed_by_counts_above_them():
    layout = RankLayout.from_counts(
        COUNTS, (4, 8, 16), "thresholds", thresholds=[9, 70]
    )
    assert layout.features_at_rank == (7, 4, 2)


def test_difacto_stores_the_blocks_between_its_ranks():
    layout = make_model("difacto", COUNTS, (4, 64), loss="log").layout
    assert layout.table_dims == (4, 60)
    assert layout.features_at_rank == (7, 4)
    assert layout.n_parameters == 1 + 7 + 7 * 4 + 4 * 60
    assert layout.cost_per_row(COUNTS, 100) == pytest.approx(4 * 13.5 + 60 * 13.4)


def test_mrma_stores_every_rank_and_a_weight_for_every_feature():
    layout = make_model("mrma", COUNTS, (4, 64), loss="log").layout
    assert layout.n_parameters == 1 + 7 + 7 * (5 + 65)
    assert layout.level_of([0, 6]).tolist() == [2, 2]
    assert layout.cost_per_row(COUNTS, 100) == pytest.approx((5 + 65) * 13.5)


def test_ffm_stores_a_vector_for_each_field():
    model = make_model("ffm", COUNTS, (4,), loss="log", n_fields=3)
    assert model.n_fields == 3
    assert model.layout.n_parameters == 1 + 7 + 7 * 3 * 4


def test_a_layout_of_another_model_is_refused():
    layout = make_model("difacto", COUNTS, (4, 64), loss="log").layout
    with pytest.raises(ValueError, match=r"must be \[4, 64\], got \[4, 60\]"):
        Model("rafm", layout, "log")


def test_cost_is_the_numbers_that_a_mean_row_touches():
    layout = RankLayout.from_counts(COUNTS, (4, 64))
    per_row = layout.features_per_row(COUNTS, 100)
    assert per_row.tolist() == [13.5, 13.4]
    assert layout.cost_per_row(COUNTS, 100) == pytest.approx(4 * 13.5 + 64 * 13.4)


def test_explicit_levels_carry_a_permutation():
    levels = [1, 3, 2, 1, 3, 1, 2]
    layout = RankLayout.from_counts(COUNTS, (1, 2, 4), "explicit", levels=levels)
    assert layout.features_at_rank == (7, 3, 2)
    assert layout.order is not None
    assert sorted(layout.order.tolist()) == list(range(7))
    # A feature never seen in training has nothing to fill a higher level with.
    assert layout.level_of(np.arange(7)).tolist() == [1, 3, 2, 1, 3, 1, 1]
    assert layout.remap(np.array([6])).tolist() == [6]
    per_row = layout.features_per_row(COUNTS, 1)
    assert per_row.tolist() == [sum(COUNTS), 300 + 70 + 9, 300 + 9]


def test_layouts_and_models_compare_and_hash_by_what_they_hold():
    def made(levels):
        return make_model(
            "rafm", COUNTS, (1, 2, 4), loss="log", rank_rule="explicit", levels=levels
        )

    levels = [1, 3, 2, 1, 3, 1, 2]
    one, same, other = made(levels), made(levels), made([3, 1, 2, 1, 3, 1, 2])
    assert one == same
    assert one.layout == same.layout
    assert hash(one) == hash(same)
    assert one.layout.features_at_rank == other.layout.features_at_rank
    assert one != other
    assert one.layout != RankLayout((1, 2, 4), (7, 3, 2), 7, 6)
    assert one.layout != "a layout"


@pytest.mark.parametrize(
    ("n_trained", "order", "message"),
    [
        (4, None, r"`n_trained` must lie in 0\.\.3, .* got 4"),
        (-1, None, r"`n_trained` must lie in 0\.\.3, .* got -1"),
        (3, [0, 1], r"`order` must be int32\[3\], got int32\[2\]"),
        (3, [0.0, 1.0, 2.0], r"`order` must be int32\[3\], got float64\[3\]"),
        (3, [0, 1, 1], r"`order` must hold each of 0\.\.2 once"),
        (3, [0, 1, 3], r"`order` must hold each of 0\.\.2 once"),
        (3, [0, 1, -1], r"`order` must hold each of 0\.\.2 once"),
    ],
)
def test_a_layout_refuses_an_order_that_is_none(n_trained, order, message):
    if order is not None:
        order = np.array(order)
        order = order if order.dtype == np.float64 else order.astype(np.int32)
    with pytest.raises(ValueError, match=message):
        RankLayout((2,), (3,), 3, n_trained, order)


def test_explicit_levels_that_fall_with_the_id_need_no_permutation():
    layout = RankLayout.from_counts(
        COUNTS, (1, 2), "explicit", levels=[2, 2, 1, 1, 1, 1, 1]
    )
    assert layout.order is None


def test_levels_of_a_rule_given_by_hand_make_the_same_layout():
    counts = [50, 40, 30, 2, 1]
    by_rule = make_model("rafm", counts, (2, 8), loss="log")
    levels = by_rule.layout.level_of(np.arange(5))
    by_hand = make_model(
        "rafm", counts, (2, 8), loss="log", rank_rule="explicit", levels=levels
    )
    assert by_hand.layout.order is None
    assert by_hand.layout.features_at_rank == by_rule.layout.features_at_rank


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank_dims": (8, 8)}, "got 8 after 8 at index 1; sort it"),
        ({"rank_dims": (0,)}, "must be at least 1, got 0"),
        ({"counts": [1, 2]}, "must never increase"),
        ({"counts": [1, -2]}, "must not be negative, got -2"),
        ({"counts": [0.5]}, "integer array, got float64"),
        ({"rule": "best"}, "unknown rank rule 'best'; choose one of eq17"),
        ({"rule": "thresholds"}, "needs `thresholds`"),
        ({"thresholds": [3]}, "does not take `thresholds`"),
        ({"rule": "thresholds", "thresholds": [3, 4]}, "needs 1 numbers"),
        ({"rule": "explicit"}, "needs `levels`"),
        (
            {"rule": "explicit", "levels": [1, 3]},
            r"must lie in 1\.\.2 .* got 3 at id 1",
        ),
        ({"rule": "explicit", "levels": [1]}, "one integer for each of 2 features"),
    ],
)
def test_what_is_refused_and_how(arguments, message):
    given = {"counts": [5, 4], "rank_dims": (2, 4), **arguments}
    with pytest.raises(ValueError, match=message):
        RankLayout.from_counts(**given)


@pytest.mark.parametrize(
    ("name", "dims", "message"),
    [
        ("lr", (4,), "takes no ranks, got"),
        ("fm", (4, 8), "use 'rafm' for several ranks"),
        ("rafm", (), "needs at least one rank"),
        ("mrma", (), "model 'mrma' needs at least one rank"),
        ("ffm", (4, 8), "model 'ffm' takes one rank"),
        ("ffm", (4,), "needs data of two or more fields, got none; use 'fm'"),
        ("svm", (4,), "unknown model 'svm'; choose one of lr, fm"),
    ],
)
def test_a_model_refuses_ranks_that_do_not_fit(name, dims, message):
    with pytest.raises(ValueError, match=message):
        make_model(name, [3, 2], dims, loss="log")


def test_embeddings_start_alike_whatever_stands_below_them():
    three = make_model("rafm", COUNTS, (4, 8, 64), loss="log")
    two = make_model("rafm", COUNTS, (4, 8), loss="log")
    a = tables(init_parameters(three, 7), three.layout)
    b = tables(init_parameters(two, 7), two.layout)
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[1], b[1])
    assert a[0][:6].std() == pytest.approx(0.01, rel=0.5)
    assert (a[0][6] == 0).all(), "a feature that training never sees starts at zero"


def test_tables_begin_on_cache_lines():
    model = make_model("rafm", [9, 9, 9, 1, 1], (3, 5), loss="log")
    for table in tables(init_parameters(model, 0), model.layout):
        assert table.ctypes.data % 64 == 0


def test_a_backend_is_found_by_name_or_refused_with_the_list():
    with pytest.raises(ValueError, match="unknown backend 'cuda'; choose one of numpy"):
        load_backend("cuda")


def test_the_dependent_rate_moves_dependent_factors_only():
    model = make_model("rafm", [9, 9, 1], (2, 3), loss="log")
    assert model.layout.features_at_rank == (3, 2)
    batch = make_batch([0, 3], [0, 1, 2], [1], n_features=3)
    moved = []
    for dependent_rate in (0.1, 0.2):
        parameters = init_parameters(model, 0, "float64")
        before = [t.copy() for t in tables(parameters, model.layout)]
        optimizer = Optimizer("sgd", 0.1, dependent_rate)
        state = init_state(model, optimizer, parameters)
        load_backend("numpy").train(model, state, optimizer, batch, 1)
        after = tables(parameters, model.layout)
        moved.append([a - b for a, b in zip(after, before, strict=True)])
    np.testing.assert_allclose(moved[1][0][:2], 2 * moved[0][0][:2])
    assert np.array_equal(moved[1][0][2], moved[0][0][2])
    assert np.array_equal(moved[1][1], moved[0][1])
