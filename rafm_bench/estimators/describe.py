"""Docstrings of the estimators: what they share is written once."""

from __future__ import annotations

from typing import Any

from rafm_kernels import OPTIMIZERS

_RANK = """\
rank : int, default=16
    Numbers in the embedding of each feature.
"""

_RANKS = """\
ranks : sequence of int, default=(8, 32)
    Ranks of the embeddings, strictly increasing. A feature has one of each rank up to
    the one nearest to its training count in log scale (Eq. 17 of Chen et al., RaFM:
    Rank-Aware Factorization Machines, ICML 2019).
projection : {"joint", "algorithm1"}, default="joint"
    What the lower embeddings of a frequent feature learn from: also the prediction, or
    only being like the next rank.
"""

_SHARED = """\
backend : str, default="numba-parallel"
    What computes; `rafm_kernels.backend_names()` lists them.
n_jobs : int, default=None
    Threads; None is 1, -1 all processors. The result has the same bits for any number.
optimizer : {optimizers}, default="adagrad"
    How a gradient changes the parameters.
learning_rate : float, default=0.05
    Step size.
l2 : float, default=1e-5
    L2 penalty on the parameters that a batch touches.
batch_size : int, default=64
    Rows per step.
max_epochs : int, default=20
    Passes over the rows, at most.
early_stopping : bool, default=False
    Keep some rows for validation, stop when the loss on them no longer falls, and take
    the best pass. Features, ranks and counts are those of the other rows.
validation_fraction : float, default=0.1
    Share of the rows that `early_stopping` keeps.
n_iter_no_change : int, default=2
    Passes without a lower validation loss that `early_stopping` waits for.
random_state : int, RandomState instance or None, default=None
    Decides the first embeddings, the order of rows and the rows kept for validation.
"""

_FITTED = """\
n_features_in_ : int
    Columns of X.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, where X was a data frame with names.
feature_ids_ : ndarray of shape (n_features,)
    Number of each feature by descending count of its training rows, from 0.
loss_curve_ : list of float
    Mean {loss} of each pass, each row scored before its own step.
validation_loss_curve_ : list of float
    The same on the kept rows after each pass; empty without `early_stopping`.
"""

_LOSSES = {
    "log": "log loss",
    "square": "square error, in units of `target_scale_` squared,",
}

_CLASSES = """\
classes_ : ndarray of shape (2,)
    The classes; `decision_function` is the log odds of the second.
"""

_SCALE = """\
target_mean_, target_scale_ : float
    Mean and standard deviation of the targets trained on. The model learns
    (y - mean) / scale, so that `learning_rate` and `l2` mean the same for any unit.
"""

_NOTES = """\
Of an array or a sparse matrix, column j is feature j with the value x_ij; scale columns
of very different sizes. Of a data frame (pandas, Polars), each column is a field and
each distinct value in it a feature: strings, integers, booleans, dates and categories
alike, a missing value as one more; only columns of floats are numbers. A value that
training has not seen contributes nothing to a prediction. Categories are compared as
text, times alike in every unit.

Numbers are rounded to float32. One that is too large for it is refused; one that is too
small, below 1e-45, is 0.

After the first call of `partial_fit` features and ranks stay as they are: a column that
had only zeros has the lowest rank and learns later; a new value of a field is ignored.
"""


def described(estimator: Any) -> Any:
    """Complete the docstring of an estimator."""
    own = _RANK if estimator._model == "fm" else _RANKS
    target = _CLASSES if estimator._loss == "log" else _SCALE
    optimizers = "{" + ", ".join(f'"{name}"' for name in OPTIMIZERS) + "}"
    sections = {
        "Parameters": own + _SHARED.replace("{optimizers}", optimizers),
        "Attributes": target + _FITTED.replace("{loss}", _LOSSES[estimator._loss]),
        "Notes": _NOTES,
    }
    parts = [f"{title}\n{'-' * len(title)}\n{text}" for title, text in sections.items()]
    estimator.__doc__ = "\n\n".join([estimator.__doc__, *parts])
    return estimator
