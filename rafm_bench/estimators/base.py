"""What all estimators share: parameters checked, X encoded, a machine trained."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from rafm_bench.errors import UserError
from rafm_bench.estimators.entries import (
    Entries,
    as_batch,
    entries_of_matrix,
    number_features,
    take_rows,
)
from rafm_bench.estimators.frames import (
    entries_of_frame,
    has_categories,
    is_frame,
    learn_columns,
    series_of,
)
from rafm_bench.estimators.passes import Machine, Patience, Trainer
from rafm_kernels import (
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_model,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rafm_kernels import Loss, ModelName

_MOST_SEED = 2**31 - 1


class FactorizationMachine(BaseEstimator):
    """Encoding, training and scoring of one model; classes add names and targets."""

    _model: ClassVar[ModelName]
    _loss: ClassVar[Loss]

    def __sklearn_tags__(self) -> Any:
        """Tell that X may be sparse.

        The tag `categorical` is for arrays of codes; here an array holds numbers, and
        only a frame holds categories.
        """
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _rank_dims(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _projection(self) -> Any:
        return "joint"

    def _targets(
        self,
        y: Any,
        *,
        first: bool,
        classes: Any = None,
        rows: NDArray[np.integer] | None = None,
    ) -> NDArray[Any]:
        """Check y and return the labels that the kernels learn: float[n_rows].

        What is learned of y itself comes from `rows`, or from all.
        """
        raise NotImplementedError

    def _fit(self, X: Any, y: Any) -> None:
        self.__dict__.pop("_machine", None)  # what fails below leaves nothing fitted
        self._begin(X, y)
        trainer, epochs = self._trainer(), whole("max_epochs", self.max_epochs)
        random = check_random_state(self.random_state)
        train = held = None
        if self.early_stopping:  # before anything is learned of the rows kept
            train, held = self._split(len(y), random)
        entries = self._learn(X, train)
        labels = self._targets(y, first=True, rows=train)
        rows, patience = as_batch(entries, self.feature_ids_, labels), None
        machine = self._new_machine(random)
        if train is not None and held is not None:
            waits = whole("n_iter_no_change", self.n_iter_no_change)
            patience = Patience(take_rows(rows, held), waits)
            rows = take_rows(rows, train)
        trainer.fit(machine, rows, epochs, random, patience)
        self._machine = machine

    def _fit_more(self, X: Any, y: Any, classes: Any = None) -> None:
        first = not hasattr(self, "_machine")
        self._begin(X, y)
        trainer = self._trainer()
        random = check_random_state(self.random_state)
        entries = self._learn(X, None) if first else self._encode(X)
        labels = self._targets(y, first=first, classes=classes)
        rows = as_batch(entries, self.feature_ids_, labels)
        if first:
            machine = self._new_machine(random)
        elif self.optimizer == self._machine.optimizer:
            machine = trainer.copy(self._machine)
        else:
            raise UserError(
                f"`optimizer` was {self._machine.optimizer!r} in the first call and is "
                f"{self.optimizer!r} now; each keeps numbers of its own, so call `fit`"
            )
        trainer.run_epoch(machine, rows, random)
        self._machine = machine  # a pass that fails leaves the one before

    def _scores(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self, "_machine")
        rows = as_batch(self._encode(X), self.feature_ids_, None)
        backend, threads = load_backend(self.backend), self._threads()
        machine = self._machine
        return backend.scores(machine.model, machine.state.parameters, rows, threads)

    @property
    def loss_curve_(self) -> list[float]:
        """Mean loss of each pass, each row scored before its own step.

        A regressor's is a square error in units of `target_scale_` squared.
        """
        check_is_fitted(self, "_machine")
        return self._machine.losses

    @property
    def validation_loss_curve_(self) -> list[float]:
        """Mean loss on the rows kept by `early_stopping`, after each pass.

        In the unit of `loss_curve_`.
        """
        check_is_fitted(self, "_machine")
        return self._machine.valid_losses

    def _begin(self, X: Any, y: Any) -> None:
        if y is None:
            raise UserError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None"
            )
        check_consistent_length(X, y)

    def _learn(self, X: Any, rows: NDArray[np.integer] | None) -> Entries:
        """Learn which features `rows`, or all, have, number them; return all rows."""
        frame = series_of(X) if is_frame(X) else []
        if has_categories(frame):
            validate_data(self, X, skip_check_array=True)
            if not len(X):
                raise UserError("X holds 0 rows, and fitting needs 1; check the frame")
            columns = learn_columns(frame, rows)
            entries = entries_of_frame(frame, columns)
            n_features = sum(column.n_features for column in columns)
        else:
            columns = None
            entries = self._entries(X, reset=True)
            n_features = self.n_features_in_
        self._columns = columns
        numbering = number_features(entries, n_features, rows)
        self.feature_ids_, self._counts = numbering
        return entries

    def _encode(self, X: Any) -> Entries:
        """Take rows as entries of the features that `_learn` found."""
        if self._columns is None:
            return self._entries(X, reset=False)
        if not is_frame(X):
            raise UserError(
                f"{type(self).__name__} was fitted on a data frame of categories, got "
                f"{type(X).__name__}; pass a frame with the same columns"
            )
        validate_data(self, X, reset=False, skip_check_array=True)
        return entries_of_frame(series_of(X), self._columns)

    def _entries(self, X: Any, *, reset: bool) -> Entries:
        """Check an array, a sparse matrix or a frame of floats; take its rows."""
        checked = validate_data(
            self, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32]
        )
        return entries_of_matrix(checked, getattr(self, "feature_names_in_", None))

    def _new_machine(self, random: np.random.RandomState) -> Machine:
        model = make_model(
            self._model,
            self._counts,
            self._rank_dims(),
            loss=self._loss,
            projection=self._projection(),
        )
        optimizer = self._optimizer()
        parameters = init_parameters(model, int(random.randint(_MOST_SEED)))
        state = init_state(model, optimizer, parameters)
        return Machine(model, state, optimizer.name)

    def _split(
        self, n_rows: int, random: np.random.RandomState
    ) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Draw the rows to train on, and those to keep for validation."""
        share = self.validation_fraction
        if not 0 < share < 1:
            raise UserError(
                f"`validation_fraction` must lie between 0 and 1, got {share}"
            )
        n_held = round(share * n_rows)
        if not 0 < n_held < n_rows:
            raise UserError(
                f"`validation_fraction` {share} of {n_rows} rows leaves no row "
                "for training or none for validation; pass more rows, or "
                "early_stopping=False"
            )
        order = random.permutation(n_rows)
        return np.sort(order[n_held:]), np.sort(order[:n_held])

    def _trainer(self) -> Trainer:
        return Trainer(
            load_backend(self.backend),
            self._optimizer(),
            whole("batch_size", self.batch_size),
            self._threads(),
        )

    def _optimizer(self) -> Optimizer:
        return Optimizer(self.optimizer, self.learning_rate, l2=self.l2)

    def _threads(self) -> int:
        return int(joblib.effective_n_jobs(self.n_jobs))


def whole(name: str, value: Any) -> int:
    """Check a parameter that is a whole number from 1.

    Unlike `checks.whole`, which takes what a flag holds, it takes NumPy's and no text.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if is_whole and value >= 1:
        return int(value)
    raise UserError(f"`{name}` must be a whole number from 1, got {value!r}")
