"""The paper's statements as properties of every backend, over drawn problems."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rafm_kernels import (
    Parameters,
    RankLayout,
    init_parameters,
    make_batch,
    make_model,
    tables,
)

TOLERANCE = 1e-9


@st.composite
def problems(draw):
    """A RaFM of 1 to 4 levels on 1 to 8 features, and 1 to 4 rows of them."""
    dims = sorted(draw(st.sets(st.integers(1, 40), min_size=1, max_size=4)))
    n = draw(st.integers(1, 8))
    counts = sorted(draw(st.lists(st.integers(0, 60), min_size=n, max_size=n)))[::-1]
    rows = draw(st.lists(st.sets(st.integers(0, n - 1)), min_size=1, max_size=4))
    ids = [i for row in rows for i in sorted(row)]
    finite = st.floats(-3, 3, width=32)
    x = draw(st.lists(finite, min_size=len(ids), max_size=len(ids)))
    model = make_model("rafm", counts, dims, loss="square")
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    parameters = Parameters(
        *(rng.normal(size=a.shape) for a in init_parameters(model, 0, "float64"))
    )
    indptr = np.cumsum([0, *map(len, rows)])
    batch = make_batch(indptr, ids, [0.0] * len(rows), x, n_features=n)
    return model, parameters, batch


def pairs_of(batch, row, size):
    """(i, j, x_i x_j) for the pairs of a row's features below `size`."""
    inside = range(batch.indptr[row], batch.indptr[row + 1])
    entries = [e for e in inside if batch.ids[e] < size]
    for a, b in combinations(entries, 2):
        yield batch.ids[a], batch.ids[b], float(batch.values[a]) * batch.values[b]


def pair_sum(batch, row, size, table):
    return sum(x * (table[i] @ table[j]) for i, j, x in pairs_of(batch, row, size))


every_problem = settings(
    deadline=None,
    max_examples=60,
    # The backend is chosen once and keeps nothing between examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@every_problem
@given(problem=problems())
def test_theorem_3_each_level_replaces_the_pairs_of_the_next(backend, problem):
    """B_1,k+1 = B_1k - A_k,k+1 + A_k+1,k+1."""
    model, parameters, batch = problem
    z = backend.level_scores(model, parameters, batch)
    sizes, v = model.layout.features_at_rank, tables(parameters, model.layout)
    for row in range(batch.n_rows):
        for k in range(model.layout.n_levels - 1):
            size = sizes[k + 1]
            replaced = pair_sum(batch, row, size, v[k])
            replacing = pair_sum(batch, row, size, v[k + 1])
            expected = z[k, row] - replaced + replacing
            assert z[k + 1, row] == pytest.approx(expected, TOLERANCE, 1e-8)


@every_problem
@given(problem=problems())
def test_eq_7_a_level_alone_is_the_sum_over_its_pairs(backend, problem):
    """A_kk by sums of features equals A_kk by pairs, in any number of numbers D_k."""
    model, parameters, batch = problem
    z = backend.level_scores(model, parameters, batch)
    bare = Parameters(parameters.bias, parameters.linear, 0 * parameters.embeddings)
    linear = backend.scores(model, bare, batch)
    first = tables(parameters, model.layout)[0]
    for row in range(batch.n_rows):
        expected = pair_sum(batch, row, model.layout.n_features, first)
        assert z[0, row] - linear[row] == pytest.approx(expected, TOLERANCE, 1e-8)


@every_problem
@given(problem=problems())
def test_the_last_level_is_the_prediction(backend, problem):
    """B_1m, also where levels without free features are skipped."""
    model, parameters, batch = problem
    z = backend.level_scores(model, parameters, batch)
    got = backend.scores(model, parameters, batch)
    np.testing.assert_allclose(got, z[-1], rtol=TOLERANCE, atol=1e-8)


@every_problem
@given(problem=problems())
def test_proposition_1_numbers_outside_f_k_are_not_stored(backend, problem):
    """sum_k D_k |F_k| numbers: their gradients are all there is to learn."""
    model, parameters, batch = problem
    layout = model.layout
    stored = sum(t.size for t in tables(parameters, layout))
    pairs = zip(layout.rank_dims, layout.features_at_rank, strict=True)
    assert stored == layout.n_embedding_parameters == sum(d * f for d, f in pairs)
    found = tables(backend.gradients(model, parameters, batch), layout)
    assert [t.shape for t in found] == [t.shape for t in tables(parameters, layout)]


@every_problem
@given(
    counts=st.lists(st.integers(0, 10_000), min_size=1, max_size=50),
    dims=st.sets(st.integers(1, 600), min_size=1, max_size=6),
)
def test_eq_17_takes_the_rank_nearest_in_log_scale(counts, dims):
    counts, dims = sorted(counts, reverse=True), sorted(dims)
    layout = RankLayout.from_counts(counts, dims)
    for n, level in zip(counts, layout.level_of(np.arange(len(counts))), strict=True):
        # |log n - log D| as max(n, D) / min(n, D): exact for a tie, at least for n > 0
        ratios = [max(n, d) / min(n, d) if n else 1.0 for d in dims]
        best = min(ratios)
        close = [k for k, r in enumerate(ratios, 1) if r <= best * (1 + 1e-12)]
        assert level in close if n else level == 1


def test_eq_17_gives_a_tie_to_the_lower_rank():
    layout = RankLayout.from_counts([129, 128, 127], [64, 256])
    assert layout.level_of(np.arange(3)).tolist() == [2, 1, 1]
