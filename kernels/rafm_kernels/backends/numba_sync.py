"""How threads of compiled code meet: a counter to take work from, and a barrier.

Threads run one compiled function each, without Python's lock. They wait actively for a
moment, then hand their core to others, so that more threads than cores go on too.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rafm_kernels.backends.numba_cache import jit

_ARRIVED, _ROUND, _NEXT, _GIVEN_UP = 0, 8, 16, 24  # each on a line of its own
_SIZE = 32
_SPINS = 2000

_give_way = types.ExternalFunction(
    "SwitchToThread" if os.name == "nt" else "sched_yield", types.int32()
)


def make_meeting() -> np.ndarray:
    """Make the numbers that the threads of one call share, int64."""
    return np.zeros(_SIZE, np.int64)


def give_up(meeting: np.ndarray) -> None:
    """Let those go who wait for a thread that will not come."""
    meeting[_GIVEN_UP] = 1


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(data, [at])


@intrinsic(prefer_literal=False)
def _fetch_add(typing: Any, array: Any, at: Any, number: Any) -> Any:
    """Add to array[at] at once for all threads; return what it was."""

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, array, args[0], args[1])
        return builder.atomic_rmw("add", address, args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), lower


@intrinsic(prefer_literal=False)
def _read(typing: Any, array: Any, at: Any) -> Any:
    """Read array[at] as other threads left it."""

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, array, args[0], args[1])
        return builder.load_atomic(address, "seq_cst", 8, typ=ir.IntType(64))

    return types.int64(array, types.intp), lower


@intrinsic(prefer_literal=False)
def _write(typing: Any, array: Any, at: Any, number: Any) -> Any:
    """Write array[at] for other threads to read."""

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, array, args[0], args[1])
        builder.store_atomic(args[2], address, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), lower


@jit
def take(meeting):
    """Take the next number, from 0: no two threads get the same one."""
    return _fetch_add(meeting, _NEXT, np.int64(1))


@jit
def arrive(meeting, n_threads):
    """Whether this thread is the last one of all to come here.

    That one does what only one may do, then calls `release`; the others call `wait`
    with the round that `current_round` gave before.
    """
    return _fetch_add(meeting, _ARRIVED, np.int64(1)) == n_threads - 1


@jit
def current_round(meeting):
    """Return the number of times that all threads have met."""
    return _read(meeting, _ROUND)


@jit
def release(meeting):
    """Let the waiting threads go on; numbers to take begin at 0 again."""
    _write(meeting, _ARRIVED, np.int64(0))
    _write(meeting, _NEXT, np.int64(0))
    _fetch_add(meeting, _ROUND, np.int64(1))


@jit
def wait(meeting, before):
    """Wait until the meeting's round is not `before` any more.

    Returns whether the threads met: not if one of them cannot come.
    """
    spins = 0
    while _read(meeting, _ROUND) == before:
        spins += 1
        if spins > _SPINS:
            if _read(meeting, _GIVEN_UP) != 0:
                return False
            _give_way()
    return True
