"""Steps of one row in a loop of their own are those of batches of one row."""

from __future__ import annotations

import pytest

from rafm_kernels import OPTIMIZERS, Optimizer, init_state, state_arrays
from rafm_kernels.backends import numba_serial
from rafm_kernels.testing.grid import EACH
from rafm_kernels.testing.problems import assert_same_norm, make_problem, slice_rows


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-9)])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("name", [one for one in OPTIMIZERS if one != "adam-dense"])
@pytest.mark.parametrize("key", [*EACH, "rafm-4-joint", "ffm-one-per-field"])
def test_a_step_of_one_row_is_that_of_a_batch_of_one_within_rounding(
    key, name, l2, dtype, tolerance
):
    """A call of one row with batches of two makes a batch of what is left: one."""
    optimizer, ends, losses = Optimizer(name, 0.05, l2=l2), [], []
    for batch_size in (1, 2):
        model, parameters, batch = make_problem(key, dtype=dtype, n_rows=50)
        state = init_state(model, optimizer, parameters)
        reports = [
            numba_serial.train(
                model, state, optimizer, slice_rows(batch, r, r + 1), batch_size
            )
            for r in range(batch.n_rows)
        ]
        assert state.step[0] == 50
        ends.append(state_arrays(state, model))
        losses.append(sum(report.loss_sum for report in reports))
    for part, array in ends[0].items():
        assert_same_norm(array, ends[1][part], tolerance, part)
    assert losses[0] == pytest.approx(losses[1], tolerance)
