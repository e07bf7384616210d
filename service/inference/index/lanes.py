"""Inner products in an order of summation that is fixed, whatever the batch and whatever the machine.

BLAS and a compiler that may reorder sums give another last bit for another batch. So the sum is written down in LLVM's
own terms: sixteen lanes, of which lane ``l`` adds up the products at ``l, l + 16, ...`` by fused multiply-add, and then
a tree over the lanes. LLVM maps this to whatever registers the machine has.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

LANES = 16

_INT, _INT64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_HALF = ir.HalfType()
_ZEROS = ir.Constant(_VECTOR, [0.0] * LANES)


def inner_products(num_rows: int, num_users: int) -> Callable[..., None]:
    """A function for kernels, ``f(rows, row, users, user, out)``, that fills ``num_users`` × ``num_rows`` of ``out``.

    Sets ``out[user + q, row + r]`` to the inner product of ``users[user + q]`` and ``rows[row + r]``; arrays are
    float32 and C-contiguous: rows [n, width], users [q, width rounded up to LANES] with zeros at the end, out [q, n].
    Rows may be float16, handed in as uint16, which is what Numba can hold. A larger tile reads less memory for a
    product; the result is the same.
    """

    @intrinsic
    def tile(_: Any, rows: Any, row: Any, users: Any, user: Any, out: Any) -> Any:
        signature = types.void(rows, types.int64, users, types.int64, out)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row_array, user_array, out_array = (
                make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 4)
            )
            row, user = arguments[1], arguments[3]
            width = builder.extract_value(row_array.shape, 1)
            row_starts = _row_pointers(builder, row_array, row, num_rows)
            user_starts = _row_pointers(builder, user_array, user, num_users)
            element = _HALF if signature.args[0].dtype == types.uint16 else ir.FloatType()
            sums = _sums(builder, row_starts, user_starts, width, element)
            for q, out_row in enumerate(_row_pointers(builder, out_array, user, num_users)):
                for r in range(num_rows):
                    place = builder.gep(out_row, [builder.add(row, _INT64(r))])
                    builder.store(_add_lanes(builder, builder.load(sums[r][q])), place)
            return context.get_dummy_value()

        return signature, codegen

    return tile  # type: ignore[no-any-return]


def _row_pointers(builder: Any, array: Any, first: Any, count: int) -> list[Any]:
    width = builder.extract_value(array.shape, 1)
    return [builder.gep(array.data, [builder.mul(builder.add(first, _INT64(row)), width)]) for row in range(count)]


def _sums(builder: Any, rows: list[Any], users: list[Any], width: Any, element: Any) -> list[list[Any]]:
    """For each row and user a variable that holds the sixteen sums; ``element`` is the type of a row's."""
    sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in users] for _ in rows]
    for variables in sums:
        for variable in variables:
            builder.store(_ZEROS, variable)
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )

    def add(place: Any, load_row: Callable[[Any], Any]) -> None:
        of_users = [_load(builder, builder.gep(user, [place]), ir.FloatType()) for user in users]
        for row, variables in zip(rows, sums, strict=True):
            of_row = load_row(builder.gep(row, [place]))
            for of_user, variable in zip(of_users, variables, strict=True):
                builder.store(builder.call(fused, [of_row, of_user, builder.load(variable)]), variable)

    whole = builder.and_(width, _INT64(-LANES))
    with cgutils.for_range_slice(builder, _INT64(0), whole, _INT64(LANES)) as (place, _):
        add(place, lambda pointer: _load(builder, pointer, element))
    with builder.if_then(builder.icmp_signed("<", whole, width)):
        rest = builder.trunc(builder.sub(width, whole), _INT)
        add(whole, lambda pointer: _load_some(builder, pointer, rest, element))
    return sums


def _load(builder: Any, pointer: Any, element: Any) -> Any:
    """Lanes of ``element`` as float32."""
    stored = ir.VectorType(element, LANES)
    lanes = builder.load(builder.bitcast(pointer, stored.as_pointer()), align=_bytes(element))
    return builder.fpext(lanes, _VECTOR) if element == _HALF else lanes


def _load_some(builder: Any, pointer: Any, count: Any, element: Any) -> Any:
    """The first ``count`` lanes, and zeros in the others: what lies beyond the last row is not read."""
    lanes = ir.VectorType(_INT, LANES)
    undefined = ir.Constant(lanes, ir.Undefined)
    counts = builder.shuffle_vector(
        builder.insert_element(undefined, count, _INT(0)), undefined, ir.Constant(lanes, [0] * LANES)
    )
    mask = builder.icmp_signed("<", ir.Constant(lanes, list(range(LANES))), counts)
    # As integers, for which processors have a masked load whether or not they compute with halves.
    stored = ir.VectorType(ir.IntType(8 * _bytes(element)), LANES)
    load = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(stored, [stored.as_pointer(), _INT, ir.VectorType(ir.IntType(1), LANES), stored]),
        f"llvm.masked.load.v{LANES}i{8 * _bytes(element)}.p0",
    )
    place = builder.bitcast(pointer, stored.as_pointer())
    zeros = ir.Constant(stored, [0] * LANES)
    some = builder.call(load, [place, _INT(_bytes(element)), mask, zeros])
    some = builder.bitcast(some, ir.VectorType(element, LANES))
    return builder.fpext(some, _VECTOR) if element == _HALF else some


def _bytes(element: Any) -> int:
    return 2 if element == _HALF else 4


def _add_lanes(builder: Any, vector: Any) -> Any:
    count = LANES
    while count > 1:
        count //= 2
        halves = (ir.Constant(ir.VectorType(_INT, count), list(range(start, start + count))) for start in (0, count))
        low, high = (builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), half) for half in halves)
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, _INT(0))
