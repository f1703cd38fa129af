"""The scikit-learn estimators: its own checks, and what each kind of X means."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import subprocess
import sys
from ast import literal_eval
from io import BytesIO

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import rafm_bench
from rafm_bench import FMClassifier, FMRegressor, RaFMClassifier, RaFMRegressor
from rafm_bench.errors import RunError
from rafm_kernels import load_backend, tables

CLASSIFIERS = (FMClassifier, RaFMClassifier)
REGRESSORS = (FMRegressor, RaFMRegressor)
EVERY = (*CLASSIFIERS, *REGRESSORS)

every_estimator = pytest.mark.parametrize("estimator", EVERY)


@parametrize_with_checks([estimator() for estimator in EVERY])
def test_scikit_learn_s_own_checks_pass(estimator, check):
    check(estimator)


def visits(n_rows=3000, seed=0):
    """Users, items and days as a frame; who likes what is in the pairs alone."""
    rng = np.random.default_rng(seed)
    users, items = rng.zipf(1.4, (2, n_rows)) % 40
    tastes = np.random.default_rng(0).normal(size=(2, 40, 3))
    scores = 2 * np.sum(tastes[0][users] * tastes[1][items], axis=1)
    frame = pl.DataFrame(
        {
            "user": [f"user {u}" for u in users],
            "item": items,
            "day": [("mon", "tue", None)[day] for day in rng.integers(0, 3, n_rows)],
        }
    )
    return frame, scores, rng.random(n_rows) < 1 / (1 + np.exp(-scores))


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_interactions_of_categories_are_learned_where_a_linear_model_cannot(estimator):
    frame, _, clicks = visits()
    train, test = frame[:2400], frame[2400:]
    linear = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)
    ).fit(train, clicks[:2400])
    machine = estimator(random_state=0).fit(train, clicks[:2400])
    base = linear.score(test, clicks[2400:])
    assert machine.score(test, clicks[2400:]) > base + 0.1


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_the_unit_of_the_target_does_not_matter(estimator):
    frame, scores, _ = visits()
    model = estimator(random_state=0).fit(frame[:2400], scores[:2400])
    assert model.score(frame[2400:], scores[2400:]) > 0.8
    cents = estimator(random_state=0).fit(frame[:2400], 100 * scores[:2400] + 5e4)
    np.testing.assert_allclose(
        cents.predict(frame), 100 * model.predict(frame) + 5e4, rtol=1e-4
    )


@every_estimator
def test_frames_of_pandas_and_polars_and_one_hot_rows_are_the_same_model(estimator):
    """Values in sorted order with null last are the columns of the one-hot matrix."""
    frame, _, clicks = visits(400)
    pandas = pd.DataFrame(
        {name: frame[name].to_list() for name in frame.columns}
    ).astype({"user": "category", "day": object})
    categories = [
        [None if v is None else v for v in frame[name].cast(pl.String).unique().sort()]
        for name in frame.columns
    ]
    texts = frame.cast(pl.String)
    blocks = []
    for name, values in zip(frame.columns, categories, strict=True):
        ordered = [v for v in values if v is not None]
        ordered += [None] * (None in values)
        column = texts[name].to_list()
        blocks.append([[float(one == value) for value in ordered] for one in column])
    one_hot = sparse.csr_array(np.hstack(blocks))
    models = [
        estimator(random_state=0).fit(rows, clicks)
        for rows in (frame, pandas, one_hot, one_hot.toarray())
    ]
    expected = models[0]._scores(frame)
    for model, rows in zip(
        models, (frame, pandas, one_hot, one_hot.toarray()), strict=True
    ):
        assert np.array_equal(model._scores(rows), expected)


def test_ids_go_by_descending_count_of_rows_that_have_the_feature():
    x = np.array([[0, 5, 1], [0, 0, 2], [9, 0, 3], [0, 1, 0]])
    model = RaFMRegressor(ranks=(1, 2), random_state=0).fit(x, [1, 2, 3, 4])
    assert model.feature_ids_.tolist() == [2, 1, 0]
    assert model._machine.model.layout.features_at_rank == (3, 2)


def test_float_columns_of_a_frame_are_numbers_and_all_others_categories():
    frame = pl.DataFrame(
        {"price": [0.0, 2.5, 1.0], "code": [7, 8, 7], "paid": [True, None, False]}
    )
    model = FMRegressor(random_state=0).fit(frame, [1.0, 2.0, 3.0])
    assert len(model.feature_ids_) == 1 + 2 + 3
    rows = model._encode(frame)
    assert np.diff(rows.indptr).tolist() == [2, 3, 3]  # the price 0 has no entry
    assert rows.features.tolist() == [1, 4, 0, 2, 5, 0, 1, 3]
    assert rows.values is not None
    assert rows.values.tolist() == [1, 1, 2.5, 1, 1, 1, 1, 1]


def test_a_value_that_training_never_saw_contributes_nothing():
    frame, _, clicks = visits(400)
    model = FMClassifier(random_state=0).fit(frame, clicks)
    unseen = pl.DataFrame({"user": ["nobody"], "item": [999], "day": ["sun"]})
    bias = model._machine.state.parameters.bias[0]
    assert model.decision_function(unseen).tolist() == [float(bias)]


def test_null_is_a_value_of_its_own_and_contributes_nothing_if_never_seen():
    seen = pl.DataFrame({"a": ["x", None, "x", None], "b": ["p", "q", "q", "p"]})
    model = FMRegressor(random_state=0).fit(seen, [0.0, 1.0, 0.0, 1.0])
    assert len(model.feature_ids_) == 4
    assert np.diff(model._encode(seen).indptr).tolist() == [2, 2, 2, 2]
    null = pl.DataFrame({"a": ["x"], "b": [None]})
    assert np.diff(model._encode(null).indptr).tolist() == [1]


@every_estimator
def test_any_number_of_threads_gives_the_same_bits(estimator):
    frame, _, clicks = visits(700)
    models = [
        estimator(n_jobs=n, random_state=0, max_epochs=2).fit(frame, clicks)
        for n in (None, 1, 3, -1)
    ]
    expected = models[0]._scores(frame).tobytes()
    assert all(model._scores(frame).tobytes() == expected for model in models)


@every_estimator
def test_the_same_random_state_gives_the_same_model_and_another_one_another(estimator):
    frame, _, clicks = visits(300)

    def scores(state):
        model = estimator(random_state=state, max_epochs=2)
        return model.fit(frame, clicks)._scores(frame)

    assert np.array_equal(scores(1), scores(np.random.RandomState(1)))
    assert not np.array_equal(scores(1), scores(2))
    assert not np.array_equal(scores(None), scores(None))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_every_backend_learns_the_same(backend):
    frame, _, clicks = visits(300)
    expected = RaFMClassifier(random_state=0, max_epochs=3).fit(frame, clicks)
    got = RaFMClassifier(random_state=0, max_epochs=3, backend=backend)
    got.fit(frame, clicks)
    np.testing.assert_allclose(
        got.predict_proba(frame), expected.predict_proba(frame), atol=1e-4
    )


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 9], [-1.0, 1.0], [False, True]])
@pytest.mark.parametrize("wrap", [np.array, list, pd.Series, pl.Series])
def test_classes_may_be_of_any_type(labels, wrap):
    frame, _, clicks = visits(400)
    y = [labels[int(click)] for click in clicks]
    model = FMClassifier(random_state=0).fit(frame, wrap(y))
    assert model.classes_.tolist() == labels
    assert set(model.predict(frame).tolist()) == set(labels)
    likelier = model.predict_proba(frame)[:, 1] > 0.5
    assert np.array_equal(model.predict(frame) == labels[1], likelier)


@every_estimator
def test_a_fit_of_one_epoch_is_the_first_partial_fit(estimator):
    frame, _, clicks = visits(300)
    fitted = estimator(random_state=0, max_epochs=1).fit(frame, clicks)
    began = estimator(random_state=0).partial_fit(frame, clicks)
    assert np.array_equal(fitted._scores(frame), began._scores(frame))


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_partial_fit_learns_batch_by_batch(estimator):
    frame, _, clicks = visits()
    model = estimator(random_state=np.random.RandomState(0))
    for _ in range(12):
        for start in range(0, 2400, 800):
            part = slice(start, start + 800)
            model.partial_fit(frame[part], clicks[part], classes=[False, True])
    assert model.score(frame[2400:], clicks[2400:]) > 0.75
    assert len(model.loss_curve_) == 36


def test_a_column_that_the_first_batch_lacked_learns_later():
    x = np.eye(3)[[0, 1] * 20 + [2] * 40]
    y = np.array([0, 1] * 20 + [1] * 40)
    model = FMClassifier(random_state=0).partial_fit(x[:40], y[:40])
    before = model.decision_function(np.eye(3)[[2]])
    model.partial_fit(x[40:], y[40:])
    assert model.decision_function(np.eye(3)[[2]]) > before + 0.05


def test_partial_fit_may_name_classes_that_its_first_rows_lack():
    model = FMClassifier(random_state=0)
    model.partial_fit([[1.0], [2.0]], ["a", "a"], classes=["a", "b"])
    assert model.classes_.tolist() == ["a", "b"]
    assert model.partial_fit([[1.0]], ["b"]).predict([[1.0]]).shape == (1,)


def test_early_stopping_takes_the_best_pass_by_rows_it_does_not_train_on():
    frame, _, clicks = visits(600)
    model = FMClassifier(
        random_state=0, max_epochs=40, learning_rate=0.3, early_stopping=True
    ).fit(frame, clicks)
    curve = model.validation_loss_curve_
    best = int(np.argmin(curve))
    assert len(curve) == len(model.loss_curve_) == best + 3 < 40
    steps_per_epoch = -(-540 // 64)
    assert model._machine.state.step[0] == (best + 1) * steps_per_epoch


@every_estimator
def test_a_model_is_the_same_after_pickle_and_joblib(estimator):
    frame, _, clicks = visits(300)
    model = estimator(random_state=0, max_epochs=2).fit(frame, clicks)
    file = BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file)):
        assert np.array_equal(copy.predict(frame), model.predict(frame))
        again = copy.partial_fit(frame, clicks)
        assert len(again.loss_curve_) == 3
    assert not hasattr(clone(model), "feature_ids_")


@every_estimator
def test_search_cross_validation_and_pipelines_take_it(estimator):
    frame, _, clicks = visits(300)
    quick = estimator(random_state=0, max_epochs=2)
    assert cross_val_score(quick, frame, clicks, cv=3).shape == (3,)
    name = "rank" if "rank" in quick.get_params() else "ranks"
    values = [2, 4] if name == "rank" else [(2,), (2, 4)]
    search = GridSearchCV(quick, {name: values}, cv=2).fit(frame, clicks)
    assert search.best_params_[name] in values
    columns = make_column_transformer((OneHotEncoder(), frame.columns))
    assert len(make_pipeline(columns, quick).fit(frame, clicks).predict(frame)) == 300


def test_dense_numbers_are_learned():
    x, y = make_classification(600, 10, n_informative=6, random_state=0)
    pipeline = make_pipeline(StandardScaler(), RaFMClassifier(random_state=0))
    assert pipeline.fit(x[:400], y[:400]).score(x[400:], y[400:]) > 0.8


def test_a_matrix_with_duplicates_and_stored_zeros_is_summed_and_left_as_it_is():
    data = np.array([1.0, 2.0, 0.0, 4.0])
    x = sparse.csr_matrix((data, [1, 1, 0, 0], [0, 3, 4]), shape=(2, 2))
    model = FMRegressor(random_state=0).fit(x, [0.0, 1.0])
    assert np.array_equal(
        model.predict(x), model.predict(np.array([[0.0, 3.0], [4.0, 0.0]]))
    )
    assert x.data.tolist() == [1, 2, 0, 4]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ranks": 8}, "`ranks` must hold one or more ranks, got 8; try"),
        ({"ranks": (8, 4)}, "must increase strictly, got 4 after 8"),
        ({"ranks": (1.5,)}, "`ranks` must be a whole number from 1, got 1.5"),
        ({"projection": "both"}, "unknown projection 'both'; choose one of joint,"),
        ({"backend": "cuda"}, "unknown backend 'cuda'; choose one of numpy,"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'; choose one of sgd,"),
        ({"learning_rate": 0}, "`learning_rate` must be above 0"),
        ({"l2": -1.0}, "`l2` must be at least 0"),
        ({"batch_size": 0}, "`batch_size` must be a whole number from 1, got 0"),
        ({"max_epochs": True}, "`max_epochs` must be a whole number from 1, got True"),
        ({"early_stopping": True}, "0.1 of 4 rows leaves no row for training or"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(parameters, message):
    with pytest.raises(ValueError, match=message):
        RaFMRegressor(**parameters).fit([[1.0], [2.0], [3.0], [4.0]], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("fit", "use", "message"),
    [
        ({"a": ["x", "y"]}, [["x"]], "was fitted on a data frame of categories, got"),
        ({"a": ["x", "y"]}, {"b": ["x"]}, "feature names should match"),
        ({"a": [1, 2]}, {"a": [1.0]}, "column 'a' held categories .* holds floats now"),
        ({"a": [1.0, 2.0], "b": [1, 2]}, {"a": [1], "b": [1]}, "was a column of float"),
        ({"a": [1.0, 2.0], "b": [1, 2]}, {"a": [None], "b": [1]}, "'a' .* float"),
    ],
)
def test_a_frame_of_another_form_is_refused(fit, use, message):
    model = FMRegressor(random_state=0).fit(pl.DataFrame(fit), [0.0, 1.0])
    rows = pl.DataFrame(use) if isinstance(use, dict) else use
    with pytest.raises(ValueError, match=message):
        model.predict(rows)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": ["x", 1, 2.5]}, dtype=object), "values of several types"),
        (pd.DataFrame({"a": [1, None, 2], "b": list("xyz")}), "'a' .* holds nan in r"),
        (pl.DataFrame({"a": [{"x": 1}] * 3}), "cannot be read as categories; cast"),
        (pl.DataFrame({"a": ["x"]})[:0], "X holds 0 rows"),
    ],
)
def test_columns_that_are_neither_numbers_nor_categories_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        FMRegressor().fit(frame, np.arange(float(len(frame))))


def test_classes_that_do_not_fit_are_refused():
    x, y = [[1.0], [2.0], [3.0]], ["a", "b", "a"]
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        FMClassifier().partial_fit(x, y, classes=["a", "b", "c"])
    with pytest.raises(ValueError, match="one class: 'a'"):
        FMClassifier().partial_fit(x[:1], y[:1])
    model = FMClassifier(random_state=0).fit(x, y)
    with pytest.raises(ValueError, match=r"`classes` must be those of the first call"):
        model.partial_fit(x, y, classes=["a", "c"])
    with pytest.raises(ValueError, match=r"y holds \['c'\]"):
        model.partial_fit(x[:1], ["c"])


def test_another_optimizer_cannot_go_on_from_the_numbers_of_the_first():
    model = FMRegressor(random_state=0).fit([[1.0], [2.0]], [1.0, 2.0])
    model.set_params(optimizer="sgd")
    with pytest.raises(ValueError, match="`optimizer` was 'adagrad' in the first call"):
        model.partial_fit([[1.0], [2.0]], [1.0, 2.0])


def test_a_loss_that_is_not_finite_names_the_rate_and_the_mend():
    model = FMRegressor(random_state=0, optimizer="sgd", learning_rate=10)
    rng = np.random.default_rng(0)
    x, y = 1e5 * rng.normal(size=(200, 5)), rng.normal(size=200)
    with pytest.raises(RunError, match="learning_rate=10; scale the columns of X"):
        model.fit(x, y)


def test_a_fit_that_fails_leaves_nothing_fitted():
    rng = np.random.default_rng(0)
    x, y = 1e5 * rng.normal(size=(200, 5)), rng.normal(size=200)
    model = FMRegressor(random_state=0).fit(1e-5 * x, y)
    with pytest.raises(RunError):
        model.set_params(optimizer="sgd", learning_rate=10).fit(x, y)
    with pytest.raises(NotFittedError):
        model.predict(x)


@every_estimator
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_partial_fit_that_fails_leaves_what_was_learned_before(estimator, optimizer):
    frame, _, clicks = visits(300)
    numbers = frame.select(price=pl.int_range(300) / 300.0, item="item")
    model = estimator(random_state=0, optimizer=optimizer, learning_rate=0.01)
    model.partial_fit(numbers, clicks)
    before, losses = model._scores(numbers).tobytes(), model.loss_curve_
    spoilt = numbers.with_columns(price=pl.lit(3e38))
    with pytest.raises(RunError, match="not finite"):
        model.partial_fit(spoilt, clicks)
    assert model._scores(numbers).tobytes() == before
    assert model.loss_curve_ == losses
    again = estimator(random_state=0, optimizer=optimizer, learning_rate=0.01)
    for one in (model, again.partial_fit(numbers, clicks)):
        one.partial_fit(numbers, clicks)
    assert np.array_equal(model._scores(numbers), again._scores(numbers))


def test_a_first_partial_fit_that_fails_leaves_nothing_fitted():
    model = FMRegressor(random_state=0, optimizer="sgd", learning_rate=10)
    rng = np.random.default_rng(0)
    with pytest.raises(RunError):
        model.partial_fit(1e5 * rng.normal(size=(200, 5)), rng.normal(size=200))
    with pytest.raises(NotFittedError):
        model.predict(np.ones((1, 5)))


def poisoned(monkeypatch, module, number):
    """Let a backend's training leave such a weight, and say that all is well."""
    train = module.train

    def spoil(model, state, *args):
        report = train(model, state, *args)
        state.parameters.linear[0] = number
        return report

    monkeypatch.setattr(module, "train", spoil)


@every_estimator
@pytest.mark.parametrize("early_stopping", [False, True])
def test_parameters_are_looked_at_after_each_pass(
    monkeypatch, estimator, early_stopping
):
    poisoned(monkeypatch, load_backend("numpy"), np.inf)
    model = estimator(backend="numpy", early_stopping=early_stopping, random_state=0)
    frame, _, clicks = visits(100)
    n_steps = 2
    told = f"a weight is not finite, found after step {n_steps} with adagrad at "
    with pytest.raises(RunError, match=told + "learning_rate=0.05; scale the"):
        model.fit(frame, clicks)
    with pytest.raises(NotFittedError):
        model.predict(frame)


def test_a_validation_loss_that_is_not_finite_ends_the_fit(monkeypatch):
    backend = load_backend("numpy")
    monkeypatch.setattr(
        backend, "scores", lambda m, p, b, n=1: np.full(b.n_rows, 1e200)
    )
    frame, scores, _ = visits(100)
    model = FMRegressor(backend="numpy", early_stopping=True, random_state=0)
    with pytest.raises(RunError, match="the validation loss is inf after pass 1 with"):
        model.fit(frame, scores)
    assert not hasattr(model, "loss_curve_")


def only_in(rows, n_rows):
    """A column that is 1 in these rows alone."""
    column = np.zeros(n_rows)
    column[rows] = 1
    return column


def held_out(n_rows):
    """Rows that early stopping keeps with random_state=0."""
    return np.sort(np.random.RandomState(0).permutation(n_rows)[: round(0.1 * n_rows)])


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_matrix])
def test_a_column_of_held_out_rows_alone_is_as_if_it_were_not_there(wrap):
    frame, _, clicks = visits(200)
    x = OneHotEncoder(sparse_output=False).fit_transform(frame)
    rows = held_out(200)
    x = np.column_stack([only_in(rows, 200), x])
    model = RaFMClassifier(early_stopping=True, random_state=0, max_epochs=3)
    model.fit(wrap(x), clicks)
    counts = np.delete(x, rows, axis=0).astype(bool).sum(axis=0)
    assert np.array_equal(model._counts, np.sort(counts)[::-1])
    assert np.array_equal(model._counts[model.feature_ids_], counts)
    without = x.copy()
    without[:, 0] = 0
    assert np.array_equal(model._scores(wrap(x)), model._scores(wrap(without)))


@pytest.mark.parametrize("wrap", [lambda x: x, pl.DataFrame.to_pandas])
def test_a_value_of_held_out_rows_alone_is_no_feature(wrap):
    frame, _, clicks = visits(200)
    new = pl.Series(
        "day", ["held" if one else "mon" for one in only_in(held_out(200), 200)]
    )
    frame = frame.with_columns(new)
    model = RaFMClassifier(early_stopping=True, random_state=0, max_epochs=3)
    model.fit(wrap(frame), clicks)
    assert model._columns is not None
    days = model._columns[2].values
    assert days is not None
    assert days.to_list() == ["mon"]
    assert model._counts[0] == 180 == model._counts[model.feature_ids_[-1]]


def test_the_scale_of_the_target_is_that_of_the_rows_trained_on():
    frame, scores, _ = visits(200)
    scores[held_out(200)] += 1000
    model = FMRegressor(early_stopping=True, random_state=0, max_epochs=1)
    model.fit(frame, scores)
    kept = np.delete(scores, held_out(200))
    assert (model.target_mean_, model.target_scale_) == (kept.mean(), kept.std())


def test_classes_may_be_those_of_held_out_rows():
    y = only_in(held_out(100), 100)
    model = FMClassifier(early_stopping=True, random_state=0, max_epochs=1)
    assert model.fit(np.ones((100, 1)), y).classes_.tolist() == [0, 1]


TOO_LARGE = "in row 1, and the largest number of float32 is 3.4e\\+38; scale it"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, 2.0], [3.0, 1e39]], "column 1 of X holds 1e\\+39"),
        (sparse.csr_array([[0, 0, 0], [0, -1e40, 0]]), "column 1 of X holds -1e\\+40"),
        (pl.DataFrame({"a": [1.0, 1e39]}), "column 'a' of X holds 1e\\+39"),
        (pd.DataFrame({"a": [1.0, 1e39], "b": ["x", "y"]}), "column 'a' holds 1e\\+39"),
    ],
)
def test_a_number_beyond_float32_is_refused_by_row_and_column(x, message):
    with pytest.raises(ValueError, match=f"{message} {TOO_LARGE}"):
        FMRegressor().fit(x, [0.0, 1.0])


def test_a_number_that_float32_takes_as_0_has_no_entry():
    tiny = FMRegressor(random_state=0).fit([[1.0, 1e-46], [2.0, 3.0]], [0.0, 1.0])
    zero = FMRegressor(random_state=0).fit([[1.0, 0.0], [2.0, 3.0]], [0.0, 1.0])
    x = np.array([[1.0, -1e-60], [1e-40, 1e-46]])
    assert np.diff(tiny._encode(x).indptr).tolist() == [1, 1]
    assert np.array_equal(tiny._counts, [2, 1])
    assert np.array_equal(tiny.predict(x), zero.predict(x))


@pytest.mark.parametrize(
    ("fit", "more"), [([1e200, -1e200], [0, 0]), ([0.0, 1.0], [0.0, 1e300])]
)
def test_a_target_that_cannot_be_scaled_is_refused(fit, more):
    model, x = FMRegressor(random_state=0), [[1.0], [2.0]]
    with pytest.raises(ValueError, match=r"y goes from .* too far to be centred and"):
        model.partial_fit(x, fit).partial_fit(x, more)


@every_estimator
def test_a_frame_of_pandas_is_converted_once(monkeypatch, estimator):
    columns = []
    from_pandas = pl.from_pandas

    def count(series):
        columns.append(series.name)
        return from_pandas(series)

    monkeypatch.setattr(pl, "from_pandas", count)
    frame, _, clicks = visits(100)
    frame = frame.to_pandas()
    model = estimator(random_state=0, max_epochs=1).fit(frame, clicks)
    assert columns == ["user", "item", "day"]
    model.predict(frame)
    assert columns == ["user", "item", "day"] * 2


TIMES = [dt.datetime(2024, 5, day, 12, 30, 0, 250_000) for day in (1, 2, 3, 1)]
SPANS = [dt.timedelta(days=day, milliseconds=5) for day in (1, 2, 3, 1)]


@pytest.mark.parametrize("values", [TIMES, SPANS])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_the_unit_of_a_time_does_not_matter(values, zone, unit):
    def frame_in(unit):
        times = pl.Series("t", values).dt.cast_time_unit(unit)
        if zone and times.dtype == pl.Datetime:
            times = times.dt.replace_time_zone(zone)
        return times.to_frame()

    model = FMRegressor(random_state=0).fit(frame_in("us"), [0.0, 1.0, 2.0, 0.0])
    assert len(model.feature_ids_) == 3
    expected = model.predict(frame_in("us"))
    assert len(set(expected.tolist())) == 3
    assert np.array_equal(model.predict(frame_in(unit)), expected)
    assert np.array_equal(model.predict(frame_in(unit).to_pandas()), expected)


def test_times_that_differ_by_less_than_a_microsecond_are_two_values():
    times = pl.Series("t", [10, 11]).cast(pl.Datetime("ns")).to_frame()
    assert len(FMRegressor().fit(times, [0.0, 1.0]).feature_ids_) == 2


@every_estimator
def test_what_is_not_fitted_says_so(estimator):
    with pytest.raises(NotFittedError):
        estimator().predict([[1.0]])
    assert not hasattr(estimator(), "loss_curve_")


@every_estimator
def test_the_docstring_names_every_parameter_with_its_default(estimator):
    for name, value in estimator().get_params().items():
        line = rf"^{name} : .*, default=(.*)$"
        written = re.search(line, estimator.__doc__, re.MULTILINE)
        assert written, name
        assert literal_eval(written[1]) == value


def test_embeddings_have_the_ranks_asked_for():
    frame, _, clicks = visits(600)
    model = RaFMClassifier((2, 3, 50), random_state=0, max_epochs=1).fit(frame, clicks)
    machine = model._machine
    widths = [t.shape for t in tables(machine.state.parameters, machine.model.layout)]
    assert [w for _, w in widths] == [2, 3, 50]
    assert widths[0][0] > widths[2][0] > 0


def test_scikit_learn_is_imported_only_when_an_estimator_is_asked_for():
    script = (
        "import sys, rafm_bench, rafm_bench.cli\n"
        "assert 'FMClassifier' in dir(rafm_bench)\n"
        "assert not {'sklearn', 'scipy', 'numba', 'polars'} & set(sys.modules)\n"
        "from rafm_bench import FMClassifier\n"
        "assert 'sklearn' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'SVC'"):
        _ = rafm_bench.SVC


def test_without_scikit_learn_the_sentence_names_the_extra():
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try: from rafm_bench import FMClassifier\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == (
        "the estimators of rafm_bench need scikit-learn; install rafm-bench[sklearn]"
    )
