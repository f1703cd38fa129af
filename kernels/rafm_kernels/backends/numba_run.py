"""Compiled training and scoring by one thread or several, from the steps' pieces.

Any thread may take any part of the rows or of the features: what it computes, it
computes alone and in one order, so the bits do not depend on who took what.

Which loops a model runs is chosen when they are compiled, by what is None in `Shape`,
so that a first run compiles no other model's. A function may ask that of its own
arguments only; one function more on the way would have all below it compiled again.
"""

from __future__ import annotations

from rafm_kernels.backends.numba_arrays import (
    ADAM_DENSE,
    largest_batch,
    make_scratch,
    make_work,
)
from rafm_kernels.backends.numba_cache import cached_jit, jit
from rafm_kernels.backends.numba_entries import scatter_entries
from rafm_kernels.backends.numba_ffm import gather_ffm, score_ffm
from rafm_kernels.backends.numba_fused import row_steps
from rafm_kernels.backends.numba_gather import add_losses, gather, score_rows
from rafm_kernels.backends.numba_mrma import gather_mrma, score_mrma
from rafm_kernels.backends.numba_scatter import bias_step, scatter, transpose
from rafm_kernels.backends.numba_steps import at_step, dense_lot
from rafm_kernels.backends.numba_sync import (
    arrive,
    current_round,
    release,
    take,
    wait,
)

ROWS_AT_ONCE = 32  # rows that a thread takes together
# The first features of a batch are its most frequent: few at once, or one thread has
# most of the work; the long tail of rare ones in larger lots.
_HEAD, _HEAD_LOT, _TAIL_LOT = 256, 8, 128

# Places in `shared`: features of the batch, a loss not finite, a step not finite.
DISTINCT, STOP, SPOILT = range(3)


@cached_jit
def make_shared_work(shape, parameters, batch, batch_size):
    """Scratch that all threads share, for the batches of `batch`."""
    return make_work(
        shape,
        len(parameters.linear),
        parameters.linear,
        min(batch_size, len(batch.labels)),
        largest_batch(batch.indptr, batch_size),
    )


@cached_jit
def train_part(
    meeting, shared, n_threads, shape, settings, parameters, kept, work, batch,
    batch_size, loss_sums,
):  # fmt: skip
    """One thread's part of all steps; all threads call it with the same arrays.

    For batches of one row there is but one thread, except for `adam-dense`.

    Returns the steps made, and the step that was not finite or -1; too few steps where
    another thread failed.
    """
    scratch = make_scratch(shape, parameters.linear, batch.indptr)
    if batch_size == 1 and settings.optimizer != ADAM_DENSE:
        return row_steps(
            shape.by_entry, shape.n_fields, shape, settings, parameters, kept, work,
            batch, loss_sums, scratch,
        )  # fmt: skip
    return _steps(
        meeting, shared, n_threads, shape, settings, parameters, kept, work, batch,
        batch_size, loss_sums, scratch,
    )  # fmt: skip


@jit
def _steps(
    meeting, shared, n_threads, shape, settings, parameters, kept, work, batch,
    batch_size, loss_sums, scratch,
):  # fmt: skip
    n_rows = len(batch.labels)
    m = len(shape.dims)
    step = 0
    for start in range(0, n_rows, batch_size):
        n = min(batch_size, n_rows - start)
        now = at_step(settings, settings.steps_before + step + 1)
        before = current_round(meeting)
        _gather_part(
            shape.by_entry, shape.n_fields, meeting, shared, shape, now, parameters,
            work, batch, start, n, scratch,
        )  # fmt: skip
        if arrive(meeting, n_threads):
            if not add_losses(work, m, n, loss_sums):
                shared[STOP] = 1
            elif not bias_step(now, parameters, kept, work, n):
                shared[SPOILT] = 1
            release(meeting)
        elif not wait(meeting, before):
            return step, -1
        if shared[STOP]:
            return step, step
        before += 1
        _scatter_part(
            shape.by_entry, shape.n_fields, meeting, shared, shape, now, parameters,
            kept, work, batch, start, n, scratch,
        )  # fmt: skip
        if arrive(meeting, n_threads):
            release(meeting)
        elif not wait(meeting, before):
            return step, -1
        if settings.optimizer == ADAM_DENSE:
            before += 1
            _dense_part(meeting, shape, now, parameters, kept)
            if arrive(meeting, n_threads):
                release(meeting)
            elif not wait(meeting, before):
                return step, -1
        if shared[SPOILT]:
            return step, step
        step += 1
    return step, -1


@jit
def _gather_part(
    by_entry, n_fields, meeting, shared, shape, settings, parameters, work, batch,
    start, n, scratch,
):  # fmt: skip
    """Take lots of rows; the first who comes transposes the batch meanwhile."""
    task = take(meeting)
    if task == 0:
        shared[DISTINCT] = transpose(by_entry, batch, start, n, work)
        task = take(meeting)
    while True:
        first = (task - 1) * ROWS_AT_ONCE
        if first >= n:
            break
        last = min(first + ROWS_AT_ONCE, n)
        if by_entry is None:
            gather(
                shape, settings, parameters, batch, start, work, scratch, first, last, n
            )
        elif n_fields is None:
            gather_mrma(
                shape, settings, parameters, batch, start, work, scratch, first, last, n
            )
        else:
            gather_ffm(
                shape, n_fields, settings, parameters, batch, start, work, scratch,
                first, last, n, True,
            )  # fmt: skip
        task = take(meeting)


@jit
def _scatter_part(
    by_entry, n_fields, meeting, shared, shape, settings, parameters, kept, work, batch,
    start, n, scratch,
):  # fmt: skip
    """Take lots of the batch's distinct features."""
    n_distinct = shared[DISTINCT]
    while True:
        task = take(meeting)
        if task < _HEAD // _HEAD_LOT:
            first = task * _HEAD_LOT
            last = first + _HEAD_LOT
        else:
            first = _HEAD + (task - _HEAD // _HEAD_LOT) * _TAIL_LOT
            last = first + _TAIL_LOT
        if first >= n_distinct:
            return
        last = min(last, n_distinct)
        if by_entry is None:
            finite = scatter(
                shape, settings, parameters, kept, work, scratch, n, first, last,
                n_distinct,
            )  # fmt: skip
        else:
            finite = scatter_entries(
                shape, n_fields, settings, parameters, kept, work, scratch, batch,
                start, n, first, last, n_distinct,
            )  # fmt: skip
        if not finite:
            shared[SPOILT] = 1


@jit
def _dense_part(meeting, shape, settings, parameters, kept):
    """Take lots of all parameters."""
    while dense_lot(shape, settings, parameters, kept, take(meeting)):
        pass


@cached_jit
def score_part(meeting, shape, parameters, batch, out, levels):
    """One thread's part of scoring: z_m to `out`, or every z_k to `levels`."""
    scratch = make_scratch(shape, parameters.linear, batch.indptr)
    _score_lots(
        shape.by_entry, shape.n_fields, meeting, shape, parameters, batch, out, levels,
        scratch,
    )  # fmt: skip


@jit
def _score_lots(
    by_entry, n_fields, meeting, shape, parameters, batch, out, levels, scratch
):
    n = len(batch.labels)
    while True:
        first = take(meeting) * ROWS_AT_ONCE
        if first >= n:
            return
        last = min(first + ROWS_AT_ONCE, n)
        if by_entry is None:
            score_rows(shape, parameters, batch, out, levels, scratch, first, last)
        elif n_fields is None:
            score_mrma(shape, parameters, batch, out, levels, scratch, first, last)
        else:
            score_ffm(
                shape, n_fields, parameters, batch, out, levels, scratch, first, last
            )
