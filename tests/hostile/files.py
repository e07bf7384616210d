"""Files of tensors and of popularity that cannot be read, or claim what they do not hold."""

import json
import struct
from collections.abc import Mapping

NESTED = b"[" * 50_000 + b"]" * 50_000


def safetensors_file(header: object, data: bytes = b"", claimed: int | None = None) -> bytes:
    """A safetensors file with this header, JSON or bytes, which says that it is ``claimed`` bytes long."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if claimed is None else claimed) + raw + data


def _tensor(dtype: object, shape: object, *offsets: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


_FOUR = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'

TENSOR_FILES: Mapping[str, bytes] = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "eight zeros": bytes(8),
    "noise": bytes(range(255, 0, -1)) * 4,
    "a header of an exabyte": safetensors_file({}, claimed=1 << 60),
    "a header of all bits": safetensors_file({}, claimed=(1 << 64) - 1),
    "a header of 99 MB": safetensors_file({}, claimed=99_000_000),
    "a header of a byte more": safetensors_file({}, claimed=3),
    "a header of blanks": safetensors_file(b" " * (2 << 20)),
    "a header that is a list": safetensors_file([]),
    "a header that is null": safetensors_file(None),
    "a header not UTF-8": safetensors_file(b'{"\xff": 1}'),
    "a header cut": safetensors_file(_FOUR, bytes(4)),
    "a deep header": safetensors_file(b'{"a": ' + NESTED + b"}"),
    "a name twice": safetensors_file(_FOUR + b"," + _FOUR[1:] + b"}", bytes(4)),
    "a tensor of terabytes": safetensors_file({"table": _tensor("F32", [1 << 40], 0, 1 << 42)}, bytes(64)),
    "a tensor beyond all numbers": safetensors_file({"table": _tensor("F32", [1 << 40, 1 << 40], 0, 64)}, bytes(64)),
    "nothing times terabytes": safetensors_file({"table": _tensor("F32", [0, 1 << 62, 1 << 62], 0, 0)}),
    "a negative shape": safetensors_file({"table": _tensor("F32", [-1], 0, 4)}, bytes(4)),
    "half a shape": safetensors_file({"table": _tensor("F32", [0.5], 0, 4)}, bytes(4)),
    "a shape of text": safetensors_file({"table": _tensor("F32", "[1]", 0, 4)}, bytes(4)),
    "a hundred dimensions": safetensors_file({"table": _tensor("F32", [1] * 100, 0, 4)}, bytes(4)),
    "offsets that overlap": safetensors_file(
        {"a": _tensor("F32", [2], 0, 8), "b": _tensor("F32", [2], 4, 12)}, bytes(12)
    ),
    "offsets of the same bytes": safetensors_file(
        {"a": _tensor("F32", [1], 0, 4), "b": _tensor("F32", [1], 0, 4)}, bytes(4)
    ),
    "offsets backwards": safetensors_file({"table": _tensor("F32", [1], 4, 0)}, bytes(4)),
    "offsets with a gap": safetensors_file({"table": _tensor("F32", [1], 4, 8)}, bytes(8)),
    "offsets beyond the file": safetensors_file({"table": _tensor("F32", [1], 1 << 40, (1 << 40) + 4)}, bytes(4)),
    "negative offsets": safetensors_file({"table": _tensor("F32", [1], -4, 0)}, bytes(4)),
    "one offset": safetensors_file({"table": _tensor("F32", [1], 0)}, bytes(4)),
    "bytes left over": safetensors_file({"table": _tensor("F32", [1], 0, 4)}, bytes(400)),
    "a type of no name": safetensors_file({"table": _tensor("F33", [1], 0, 4)}, bytes(4)),
    "a type that numpy lacks": safetensors_file({"table": _tensor("BF16", [2], 0, 4)}, bytes(4)),
    "a type of four bits": safetensors_file({"table": _tensor("F4", [3], 0, 2)}, bytes(2)),
    "a type that is a number": safetensors_file({"table": _tensor(32, [1], 0, 4)}, bytes(4)),
    "a tensor of no type": safetensors_file({"table": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "notes alone": safetensors_file({"__metadata__": {"table": "here"}}),
    "notes that are no text": safetensors_file({"__metadata__": {"table": 1}}),
    "a name that is no name": safetensors_file({"\0": _tensor("F32", [1], 0, 4)}, bytes(4)),
    "ten thousand names": safetensors_file({f"t{n}": _tensor("F32", [0], 0, 0) for n in range(10_000)}),
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
}

POPULARITIES: Mapping[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(20),
    "null": b"null",
    "a list": b'[["a", 1]]',
    "a string": b'"a"',
    "a number": b"1",
    "a negative count": b'{"a": 1, "b": -1}',
    "a count that overflows": b'{"a": 1' + b"0" * 400 + b"}",
    "a count beyond all digits": b'{"a": 1' + b"0" * 9000 + b"}",
    "a count past what floats tell apart": b'{"a": 9007199254740993}',
    "an exponent": b'{"a": 1e400}',
    "a count with a point": b'{"a": 1.0}',
    "half a count": b'{"a": 0.5}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "a negative infinity": b'{"a": -Infinity}',
    "a count as text": b'{"a": "3"}',
    "a count that is true": b'{"a": true}',
    "a count that is null": b'{"a": null}',
    "a count that is an object": b'{"a": {"b": 1}}',
    "half a character": rb'{"\ud800": 1}',
    "not UTF-8": b'{"\xff": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "more behind it": b'{"a": 1} {"b": 2}',
    "cut": b'{"a": 1, "b": ',
    "deep": b'{"a": ' + NESTED + b"}",
    "open brackets": b"[" * 1_000_000,
    "a hundred thousand wrong counts": b"{" + b",".join(b'"%d":-1' % number for number in range(100_000)) + b"}",
    "a bare name": b"{a: 1}",
    "a comment": b'{"a": 1 /* often */}',
}
