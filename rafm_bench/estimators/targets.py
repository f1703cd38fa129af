"""What is learned: one of two classes, or a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target

from rafm_bench.errors import UserError
from rafm_bench.estimators.base import FactorizationMachine
from rafm_bench.estimators.entries import as_float32
from rafm_kernels import probability

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class BinaryClassifier(ClassifierMixin, FactorizationMachine):
    """Two classes of any type, learned by log loss."""

    _loss = "log"

    def __sklearn_tags__(self) -> Any:
        """Tell that there are two classes."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: ArrayLike) -> Any:
        """Learn from rows and their classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_columns)
        y : array-like of shape (n_samples,)
            Two classes, of any type.

        Returns
        -------
        self : object
        """
        self._fit(X, y)
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None
    ) -> Any:
        """Make one pass over some rows, going on from what is learned already.

        It trains a copy, so that a call that fails leaves what was learned before; many
        rows in a call make up for the copying of a large model.

        The first call fixes the features and their ranks by its own counts.

        Parameters
        ----------
        X, y : as in `fit`
        classes : array-like of shape (2,), default=None
            Both classes; may be left out in the first call if y holds both, and
            afterwards.

        Returns
        -------
        self : object
        """
        self._fit_more(X, y, classes)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Score rows: log odds of `classes_[1]`.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        margins : ndarray of shape (n_samples,)
        """
        return self._scores(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Give the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        probabilities : ndarray of shape (n_samples, 2)
        """
        margins = self._scores(X)
        return np.stack([probability(-margins), probability(margins)], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Give the likelier class of each row.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        classes : ndarray of shape (n_samples,)
        """
        likelier = (self._scores(X) > 0).astype(np.intp)
        chosen: NDArray[Any] = self.classes_[likelier]
        return chosen

    def _targets(
        self,
        y: Any,
        *,
        first: bool,
        classes: Any = None,
        rows: NDArray[np.integer] | None = None,
    ) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise UserError(
                "Only binary classification is supported. The type of the target is "
                f"{kind}."
            )
        if first:
            self.classes_ = _two_classes(np.unique(y if classes is None else classes))
        elif classes is not None and not np.array_equal(
            np.unique(classes), self.classes_
        ):
            raise UserError(
                f"`classes` must be those of the first call, {self.classes_.tolist()}, "
                f"got {np.unique(classes).tolist()}"
            )
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise UserError(
                f"y holds {unknown.tolist()}, and the classes are "
                f"{self.classes_.tolist()}; name all classes in the first call"
            )
        return np.asarray(y == self.classes_[1], dtype=np.float32)


class Regressor(RegressorMixin, FactorizationMachine):
    """Numbers, centred and scaled by those of training, learned by square loss."""

    _loss = "square"

    def fit(self, X: Any, y: ArrayLike) -> Any:
        """Learn from rows and their targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_columns)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : object
        """
        self._fit(X, y)
        return self

    def partial_fit(self, X: Any, y: ArrayLike) -> Any:
        """Make one pass over some rows, going on from what is learned already.

        It trains a copy, so that a call that fails leaves what was learned before; many
        rows in a call make up for the copying of a large model.

        The first call fixes the features and their ranks by its own counts, and what
        the target is scaled by.

        Parameters
        ----------
        X, y : as in `fit`

        Returns
        -------
        self : object
        """
        self._fit_more(X, y)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Give the target of each row.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        targets : ndarray of shape (n_samples,)
        """
        targets: NDArray[np.float64] = self._scores(X)
        return targets * self.target_scale_ + self.target_mean_

    def _targets(
        self,
        y: Any,
        *,
        first: bool,
        classes: Any = None,
        rows: NDArray[np.integer] | None = None,
    ) -> NDArray[Any]:
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64), warn=True)
        with np.errstate(over="ignore", invalid="ignore"):
            if first:
                learned = y if rows is None else y[rows]
                self.target_mean_ = float(np.mean(learned))
                self.target_scale_ = float(np.std(learned)) or 1.0
            labels = as_float32((y - self.target_mean_) / self.target_scale_)
        if not (math.isfinite(self.target_scale_) and np.isfinite(labels).all()):
            raise UserError(
                f"y goes from {y.min():g} to {y.max():g}, too far to be centred and "
                "scaled as training needs it; divide y by its unit, or leave such rows "
                "out"
            )
        return labels


def _two_classes(classes: NDArray[Any]) -> NDArray[Any]:
    if len(classes) == 2:
        return classes
    if len(classes) == 1:
        raise UserError(
            "the classifier needs samples of two classes, but the data contains only "
            f"one class: {classes.tolist()[0]!r}"
        )
    raise UserError(
        "Only binary classification is supported. `classes` must hold two classes, "
        f"got {len(classes)}."
    )
