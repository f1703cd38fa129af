"""What a call of a backend is refused for, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rafm_kernels import Optimizer, check_train_call, init_state
from rafm_kernels.testing.problems import make_problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam"}, "`state` was made for optimizer 'adam', got 'adagrad'"),
        ({"sums": ()}, r"`state.sums.bias` must be float32\[1\], got float32\[0\]"),
        (
            {"step": np.zeros(2, np.int64)},
            r"`state.step` must hold one number, got shape",
        ),
        (
            {"linear": np.zeros(60, np.float32)[::2]},
            "`parameters.linear` must lie in one",
        ),
        (
            {"linear": np.zeros(30)},
            r"must be float64",
        ),
        ({"ids": 30}, r"`ids` must lie in 0\.\.29, got 30 in row"),
        ({"labels": [[0]]}, "`batch.labels` must be one-dimensional"),
        ({"values": [1]}, "`batch.values` must have one number for each"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"n_threads": 0}, "`n_threads` must be at least 1, got 0"),
        ({"frozen": True}, "may not be written to"),
    ],
)
def test_a_call_says_what_does_not_fit(change, message):
    model, parameters, batch = make_problem("rafm-joint", dtype="float32")
    optimizer = Optimizer("adagrad")
    state = init_state(model, optimizer, parameters)
    numbers = {"batch_size": 4, "n_threads": 1}
    for name, value in change.items():
        if name in numbers:
            numbers[name] = value
        elif name == "sums":
            state = state._replace(sums=state.moments)
        elif name == "linear":
            state = state._replace(parameters=parameters._replace(linear=value))
        elif name == "ids":
            batch = batch._replace(ids=np.full_like(batch.ids, value))
        elif name == "frozen":
            parameters.linear.flags.writeable = False
        elif name in batch._fields:
            given: Any = {name: np.asarray(value, np.float32)}
            batch = batch._replace(**given)
        else:
            state = state._replace(**{name: value})
    with pytest.raises(ValueError, match=message):
        check_train_call(model, state, optimizer, batch, **numbers)
