"""Vectors of floats for Numba code: `lanes(n)` gives load, store and arithmetic on n.

A loop over D_k numbers, left to the compiler, keeps its sums in memory and checks for
overlap; these keep a block of the row in registers across a whole row of features. They
lower to LLVM's vector types, which fit any processor. Multiply and add may be fused
(`contract`); nothing assumes that numbers are finite.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, overload, register_model

from rafm_kernels.backends.numba_cache import jit

_FLAGS = ("contract", "nsz")


class Vector(types.Type):
    """Numba's type of `n` floats of one type."""

    def __init__(self, dtype: types.Float, n: int) -> None:
        self.dtype = dtype
        self.n = n
        super().__init__(name=f"Vector({dtype}, {n})")


@register_model(Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        scalar = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(scalar, vector.n))


class Lanes(NamedTuple):
    """Functions on vectors of one length, for use inside jitted code.

    Attributes
    ----------
    load : (array, index) -> the vector at array[index : index + n]
    store : (array, index, vector) -> None
    splat : (array, number) -> n copies of the number, in the array's float type
    total : (vector) -> sum of its numbers
    root : (vector) -> square root of each
    """

    load: Any
    store: Any
    splat: Any
    total: Any
    root: Any


def _pointer(
    context: Any, builder: Any, array_type: Any, array: Any, index: Any
) -> Any:
    """Address of array[index] in a one-dimensional C array, as one of a vector."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@functools.cache
def lanes(n: int) -> Lanes:
    """Functions on vectors of `n` floats."""

    @intrinsic(prefer_literal=False)
    def load(typing: Any, array: Any, index: Any) -> Any:
        vector = Vector(array.dtype, n)

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _pointer(context, builder, array, args[0], args[1])
            llvm = context.get_value_type(vector)
            at = builder.bitcast(at, llvm.as_pointer())
            return builder.load(at, align=array.dtype.bitwidth // 8)

        return vector(array, types.intp), lower

    @intrinsic(prefer_literal=False)
    def store(typing: Any, array: Any, index: Any, vector: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _pointer(context, builder, array, args[0], args[1])
            at = builder.bitcast(at, context.get_value_type(vector).as_pointer())
            builder.store(args[2], at, align=array.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(array, types.intp, vector), lower

    @intrinsic(prefer_literal=False)
    def splat(typing: Any, array: Any, number: Any) -> Any:
        vector = Vector(array.dtype, n)

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = context.cast(builder, args[1], number, array.dtype)
            llvm = context.get_value_type(vector)
            one = ir.Constant(llvm, ir.Undefined)
            one = builder.insert_element(one, value, ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n)
            return builder.shuffle_vector(one, one, mask)

        return vector(array, number), lower

    @intrinsic(prefer_literal=False)
    def total(typing: Any, vector: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _halve_and_add(builder, args[0], n)

        return vector.dtype(vector), lower

    @intrinsic(prefer_literal=False)
    def root(typing: Any, vector: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            llvm = context.get_value_type(vector)
            name = f"llvm.sqrt.v{n}{llvm.element.intrinsic_name}"
            kind = ir.FunctionType(llvm, [llvm])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(function, args)

        return vector(vector), lower

    return Lanes(load, store, splat, total, root)


def _halve_and_add(builder: Any, value: Any, n: int) -> Any:
    """Sum of a vector's numbers, by adding its halves: one fixed order."""
    while n > 1:
        half = n // 2
        index = ir.VectorType(ir.IntType(32), half)
        low = ir.Constant(index, list(range(half)))
        high = ir.Constant(index, list(range(half, n)))
        value = builder.fadd(
            builder.shuffle_vector(value, value, low),
            builder.shuffle_vector(value, value, high),
        )
        n = half
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


def _arithmetic(symbol: Any, method: str) -> None:
    """Let `symbol` work on two vectors of one type."""

    @intrinsic(prefer_literal=False)
    def compute(typing: Any, a: Any, b: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, method)(*args, flags=_FLAGS)

        return a(a, b), lower

    @overload(symbol)
    def choose(a: Any, b: Any) -> Any:
        def apply(a: Any, b: Any) -> Any:
            return compute(a, b)

        return apply if isinstance(a, Vector) and a == b else None


for _symbol, _method in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _method)


def _prefetch(locality: int) -> Any:
    """Make the function that asks for a cache line; LLVM's `locality` says how near."""

    @intrinsic(prefer_literal=False)
    def ask(typing: Any, array: Any, index: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _pointer(context, builder, array, args[0], args[1])
            byte = ir.IntType(8).as_pointer()
            word = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            function = cgutils.get_or_insert_function(
                builder.module, kind, "llvm.prefetch.p0"
            )
            facts = [ir.Constant(word, k) for k in (0, locality, 1)]  # read, how, data
            builder.call(function, [builder.bitcast(at, byte), *facts])
            return context.get_dummy_value()

        return types.void(array, types.intp), lower

    return ask


# Ask for the cache line of array[index], to be read soon: `prefetch` into the first
# cache, for one line of a few; `prefetch_l2` into the second, for long rows, which the
# first has neither the room to hold nor enough requests under way to fetch.
prefetch, prefetch_l2 = _prefetch(3), _prefetch(2)


def _bound(name: str) -> Any:
    """Make the function of two vectors that LLVM calls `name`."""

    @intrinsic(prefer_literal=False)
    def compute(typing: Any, a: Any, b: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            llvm = context.get_value_type(a)
            full = f"llvm.{name}.v{a.n}{llvm.element.intrinsic_name}"
            kind = ir.FunctionType(llvm, [llvm, llvm])
            function = cgutils.get_or_insert_function(builder.module, kind, full)
            return builder.call(function, args)

        return a(a, b), lower

    return compute


def _rearranged(places: Any) -> Any:
    """Make the function that lays out the numbers of two vectors anew.

    `places` gives, from the length of each, which number of both comes where.
    """

    @intrinsic(prefer_literal=False)
    def rearrange(typing: Any, a: Any, b: Any) -> Any:
        chosen = places(a.n)

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            mask = ir.VectorType(ir.IntType(32), len(chosen))
            return builder.shuffle_vector(*args, ir.Constant(mask, chosen))

        return Vector(a.dtype, len(chosen))(a, b), lower

    return rearrange


# Of two vectors: one after the other; the first's first half; its second half; the
# second half of the first before the first half of the second.
joined = _rearranged(lambda n: list(range(2 * n)))
front = _rearranged(lambda n: list(range(n // 2)))
back = _rearranged(lambda n: list(range(n // 2, n)))
turned = _rearranged(lambda n: list(range(n // 2, n + n // 2)))

# Of two vectors, number by number; where one is NaN, the other.
smaller, larger = _bound("minnum"), _bound("maxnum")


@jit
def fetch_row(array, at, dim):
    """Ask for the cache lines of array[at : at + dim], all to be read soon."""
    per_line = 64 // array.itemsize
    d = 0
    while d < dim:
        prefetch_l2(array, at + d)
        d += per_line
