"""Upper bounds for the scores of 64 items at a time.

A user's look-up table is rounded up to one byte an entry, so that an item's sum of entries is bounded by a sum of bytes
(the idea of Quick ADC, André et al., ICMR 2017). Where the machine permutes bytes by register (AVX-512 VBMI), one
instruction looks up 64 entries; elsewhere they are looked up one by one. Either way only what the bound lets through is
scored, so that the answer is that of a full scan.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from service.inference.index.compiling import kernel

BLOCK = 64
TABLE = 256  # entries of a codebook's table of bytes at least: four registers of 64

_LINE = 64  # bytes of a cache line
_D = 32  # codebooks that the permutation is written for: two items fill a register of 64 bytes

_BIT, _BYTE, _INT, _INT64, _FLOAT = (ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType())
_BYTES = ir.VectorType(_BYTE, BLOCK)
_WORDS = ir.VectorType(ir.IntType(16), BLOCK)
_INTS = ir.VectorType(_INT, BLOCK)
_FLOATS = ir.VectorType(_FLOAT, BLOCK)
_SECOND_LEVEL = _INT(1)  # of caches: in the first what is fetched ahead would drive out the tables


@intrinsic
def set_sums(_: Any, codes: Any, first: Any, tables: Any, sums: Any) -> Any:
    """Set ``sums`` to the sums of table entries of the items from ``first`` on.

    Codes are [n, D] with n at least ``first + BLOCK``, tables uint8 [D * stride] with a stride of at least TABLE and
    the size of a codebook, sums uint32 [BLOCK]; all are C-contiguous.
    """
    signature = types.void(codes, types.int64, tables, sums)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        features = context.codegen().magic_tuple()[2]
        if "+avx512vbmi," not in features + "," or signature.args[0].dtype != types.uint8:
            return context.compile_internal(builder, _set_sums_one_by_one, signature, arguments)
        codes, tables, sums = (
            make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 3)
        )
        fits = builder.icmp_signed("==", builder.extract_value(codes.shape, 1), _INT64(_D))
        stride_fits = builder.icmp_signed("==", builder.extract_value(tables.shape, 0), _INT64(_D * TABLE))
        with builder.if_else(builder.and_(fits, stride_fits)) as (then, otherwise):
            with then:
                rows = builder.gep(codes.data, [builder.mul(arguments[1], _INT64(_D))])
                total = _permuted_sums(builder, rows, tables.data)
                pointer = builder.bitcast(sums.data, _INTS.as_pointer())
                builder.store(builder.zext(total, _INTS), pointer, align=4)
            with otherwise:
                context.compile_internal(builder, _set_sums_one_by_one, signature, arguments)
        return context.get_dummy_value()

    return signature, codegen


def _set_sums_one_by_one(codes: Any, first: int, tables: Any, sums: Any) -> None:
    num_codebooks = codes.shape[1]
    stride = len(tables) // num_codebooks
    whole = num_codebooks - num_codebooks % 4
    for lane in range(BLOCK):
        code = codes[first + lane]
        a, b, c, d = np.uint32(0), np.uint32(0), np.uint32(0), np.uint32(0)
        start = 0
        for place in range(0, whole, 4):
            a += tables[start + code[place]]
            b += tables[start + stride + code[place + 1]]
            c += tables[start + 2 * stride + code[place + 2]]
            d += tables[start + 3 * stride + code[place + 3]]
            start += 4 * stride
        for place in range(whole, num_codebooks):
            a += tables[place * stride + code[place]]
        sums[lane] = a + b + c + d


def _permuted_sums(builder: Any, rows: Any, tables: Any) -> Any:
    """The sums of 64 items, uint16 in one vector, from codes of 32 bytes each and tables of 256 bytes each."""
    registers = _transposed([_load(builder, rows, BLOCK * number) for number in range(_D)], builder)
    permute = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_BYTES, [_BYTES] * 3), "llvm.x86.avx512.vpermi2var.qi.512"
    )
    total = ir.Constant(_WORDS, [0] * BLOCK)
    for place, indices in enumerate(registers):
        parts = [_load(builder, tables, TABLE * place + BLOCK * quarter) for quarter in range(4)]
        # An index of seven bits chooses from two registers; the eighth bit is the sign.
        low = builder.call(permute, [parts[0], indices, parts[1]])
        high = builder.call(permute, [parts[2], indices, parts[3]])
        is_high = builder.icmp_signed("<", indices, ir.Constant(_BYTES, [0] * BLOCK))
        total = builder.add(total, builder.zext(builder.select(is_high, high, low), _WORDS))
    # The transposition left even items in the lower half and odd ones in the upper.
    order = [(item & 1) * (BLOCK // 2) + (item >> 1) for item in range(BLOCK)]
    return builder.shuffle_vector(total, ir.Constant(_WORDS, ir.Undefined), _shuffle(order))


def _transposed(registers: list[Any], builder: Any) -> list[Any]:
    """One register a codebook from one register for two items: each step swaps a bit of the register's number with one
    of the byte's place."""
    for bit in (1, 2, 4, 8, 16):
        low = _shuffle([(byte & ~bit) + (BLOCK if byte & bit else 0) for byte in range(BLOCK)])
        high = _shuffle([(byte | bit) + (BLOCK if byte & bit else 0) for byte in range(BLOCK)])
        swapped = list(registers)
        for number in range(_D):
            if not number & bit:
                pair = registers[number], registers[number | bit]
                swapped[number] = builder.shuffle_vector(*pair, low)
                swapped[number | bit] = builder.shuffle_vector(*pair, high)
        registers = swapped
    return registers


@intrinsic
def survivors(_: Any, sums: Any, base: Any, step: Any, inverse_norms: Any, first: Any, least: Any) -> Any:
    """The lanes whose bound ``(base + step * sum) * inverse_norm`` reaches ``least``, as the bits of an int64.

    Sums are uint32 [BLOCK]; ``first`` is the first of BLOCK items.
    """
    signature = types.uint64(sums, types.float32, types.float32, inverse_norms, types.int64, types.float32)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, inverse_norms = (
            make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 3)
        )
        integers = builder.load(builder.bitcast(sums.data, _INTS.as_pointer()), align=4)
        norms_pointer = builder.gep(inverse_norms.data, [arguments[4]])
        norms = builder.load(builder.bitcast(norms_pointer, _FLOATS.as_pointer()), align=4)
        bound = builder.fmul(builder.uitofp(integers, _FLOATS), _spread(builder, arguments[2]))
        bound = builder.fmul(builder.fadd(bound, _spread(builder, arguments[1])), norms)
        reached = builder.fcmp_ordered(">=", bound, _spread(builder, arguments[5]))
        return builder.bitcast(reached, _INT64)

    return signature, codegen


@intrinsic
def lowest_bit(_: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set in an uint64 other than 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], _BIT(1))

    return types.int64(types.uint64), codegen


@intrinsic
def prefetch(_: Any, array: Any, first: Any, count: Any) -> Any:
    """Ask for the memory of ``array[first:first + count]``, which need not exist, of a C-contiguous array."""
    signature = types.void(array, types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(rows.strides, 0)
        start = builder.ptrtoint(rows.data, _INT64)
        first = builder.add(start, builder.mul(arguments[1], stride))
        last = builder.add(first, builder.mul(arguments[2], stride))
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT, _INT, _INT]), "llvm.prefetch.p0"
        )
        with cgutils.for_range_slice(builder, first, last, _INT64(_LINE)) as (address, _):
            builder.call(fetch, [builder.inttoptr(address, _BYTE.as_pointer()), _INT(0), _SECOND_LEVEL, _INT(1)])
        return context.get_dummy_value()

    return signature, codegen


def _load(builder: Any, pointer: Any, offset: int) -> Any:
    return builder.load(builder.bitcast(builder.gep(pointer, [_INT64(offset)]), _BYTES.as_pointer()), align=1)


def _shuffle(places: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_INT, len(places)), places)


def _spread(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(undefined, value, _INT(0)), undefined, _shuffle([0] * BLOCK))


@kernel()
def round_up(entries: Any, num_codebooks: int, tables: Any) -> tuple[np.float32, np.float32]:
    """Tables of bytes of which ``base + step * sum`` is at least the sum of entries, rounding of float32 included.

    Args:
        entries: a user's look-up table, float32 [D * K].
        num_codebooks: D.
        tables: set to uint8 [D * stride], stride at least TABLE and K.

    Returns:
        base and step.
    """
    size, stride = len(entries) // num_codebooks, len(tables) // num_codebooks
    lowest = np.empty(num_codebooks, dtype=np.float32)
    base, widest, magnitude = 0.0, np.float32(0), 0.0
    for place in range(num_codebooks):
        lowest[place], high = extremes(entries[place * size : (place + 1) * size])
        widest = max(widest, high - lowest[place])
        base += float(lowest[place])
        magnitude += float(max(abs(lowest[place]), abs(high)))
    step = widest / np.float32(254)
    scale = np.float32(1) / step if step > 0 else np.float32(0)
    for place in range(num_codebooks):
        start, low = place * stride, lowest[place]
        for index in range(size):
            tables[start + index] = np.uint8(min(np.float32(255), (entries[place * size + index] - low) * scale + 1))
    # What float32 loses in the entries, the sum and the product with a norm is far below this share.
    return np.float32(base + magnitude * 2.0**-19), np.float32(step)


@kernel(fastmath=True)
def extremes(entries: Any) -> tuple[np.float32, np.float32]:
    low, high = entries[0], entries[0]
    for entry in entries:
        low, high = min(low, entry), max(high, entry)
    return low, high
