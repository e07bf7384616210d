"""ONNX graphs that are damaged, or would run for ever, read other files or take all memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.damage import Damage, Hostile, vouch, vouching

Graph = onnx.ModelProto


def constant(graph: Graph, name: str) -> Any:
    return next(tensor for tensor in graph.graph.initializer if tensor.name == name)


def _first_constant(graph: Graph) -> Any:
    return graph.graph.initializer[0]


def refer_elsewhere(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def _claim(*dims: int) -> Callable[[Graph], object]:
    def change(graph: Graph) -> None:
        tensor = _first_constant(graph)
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return change


def _refill(value: float) -> Callable[[Graph], object]:
    def change(graph: Graph) -> None:
        tensor = _first_constant(graph)
        array = np.full_like(numpy_helper.to_array(tensor), value)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def _behind(*nodes: onnx.NodeProto, **constants: Any) -> Callable[[Graph], object]:
    """Nodes between what the graph gives now, which they know as ``was``, and its output, which they call ``is``."""

    def change(graph: Graph) -> None:
        output = graph.graph.output[0].name
        for node in graph.graph.node:
            for place, name in enumerate(node.output):
                if name == output:
                    node.output[place] = "was"
        for node in nodes:
            copied = graph.graph.node.add()
            copied.CopyFrom(node)
            for place, name in enumerate(copied.output):
                if name == "is":
                    copied.output[place] = output
        graph.graph.initializer.extend(numpy_helper.from_array(np.array(v), name) for name, v in constants.items())

    return change


def _node(operator: str, inputs: str, outputs: str = "is", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def _within(*nodes: onnx.NodeProto, inputs: Any = (), outputs: Any = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "within", list(inputs), list(outputs))


def _value(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


_ENDLESS = _within(
    _node("Identity", "going", "on"),
    _node("Identity", "before", "after"),
    inputs=[
        _value("turn", TensorProto.INT64),
        _value("going", TensorProto.BOOL),
        helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
    ],
    outputs=[_value("on", TensorProto.BOOL), helper.make_tensor_value_info("after", TensorProto.FLOAT, None)],
)
_BRANCH = _within(_node("Identity", "was", "taken"), outputs=[_value("taken", TensorProto.FLOAT)])
_ELSEWHERE = helper.make_tensor("there", TensorProto.FLOAT, [1], [1.0])
refer_elsewhere(_ELSEWHERE, "/etc/passwd")

_GRAPHS: dict[str, Callable[[Graph], object]] = {
    **{
        f"constant in {location}": lambda graph, location=location: refer_elsewhere(_first_constant(graph), location)  # type: ignore[misc]
        for location in ("/etc/passwd", "../manifest.json", "network.onnx", "", "/dev/zero", "/proc/self/mem")
    },
    "constant elsewhere in a node": _behind(
        _node("Constant", "", "there", value=_ELSEWHERE), _node("Add", "was there")
    ),
    **{
        f"constant of shape {dims}": _claim(*dims)
        for dims in ((1 << 40,), (1 << 31, 1 << 31), (1 << 62, 8), (-1, 8), (-(1 << 62),), (3, 5), (0,), (1,) * 5000)
    },
    "constant NaN": _refill(np.nan),
    "constant infinite": _refill(np.inf),
    "constant huge": _refill(3e38),
    "constant lost": lambda graph: graph.graph.initializer.pop(0),
    "constant without type": lambda graph: setattr(_first_constant(graph), "data_type", 0),
    "constant of unknown type": lambda graph: setattr(_first_constant(graph), "data_type", 99),
    "constant of text": lambda graph: _first_constant(graph).CopyFrom(
        numpy_helper.from_array(np.array(["text"], dtype=object), _first_constant(graph).name)
    ),
    "sparse constant": lambda graph: graph.graph.sparse_initializer.add(dims=[1 << 40]),
    "operator of no name": _behind(_node("", "was")),
    "operator unknown": _behind(_node("Sumatra", "was")),
    "operator of chance": _behind(_node("RandomNormalLike", "was")),
    "operator of another domain": _behind(_node("Gelu", "was", domain="com.microsoft")),
    "operator of training": _behind(_node("Gradient", "was", domain="ai.onnx.preview.training")),
    "operator of an unknown domain": _behind(_node("Add", "was was", domain="evil")),
    "endless loop": _behind(_node("Loop", "turns yes was", body=_ENDLESS), yes=True, turns=np.int64(1 << 62)),
    "branch": _behind(_node("If", "yes", then_branch=_BRANCH, else_branch=_BRANCH), yes=True),
    "scan": _behind(_node("Scan", "was", body=_BRANCH, num_scan_inputs=1)),
    "function of its own": lambda graph: graph.functions.add(name="Mine", domain="mine"),
    "cycle": _behind(_node("Add", "was later"), _node("Identity", "is", "later")),
    "cycle of one": _behind(_node("Add", "was again", "again"), _node("Identity", "again")),
    "input from nowhere": _behind(_node("Add", "was nowhere")),
    "result of two nodes": _behind(_node("Identity", "was"), _node("Identity", "was")),
    "too many inputs": _behind(_node("Identity", " ".join(["was"] * 100))),
    "no inputs": _behind(_node("Add", "")),
    "an exabyte asked for": _behind(
        _node("ConstantOfShape", "size", "filled"),
        _node("ReduceSum", "filled", "sum"),
        _node("Add", "was sum"),
        size=np.array([1 << 60]),
    ),
    "an exabyte spread": _behind(_node("Expand", "was size"), size=np.array([1 << 58, 1, 1])),
    "an exabyte in tiles": _behind(_node("Tile", "was times"), times=np.array([1 << 58, 1])),
    "an exabyte counted": _behind(
        _node("Range", "zero end one", "counted"),
        _node("ReduceSum", "counted", "sum"),
        _node("Add", "was sum"),
        zero=np.float32(0),
        end=np.float32(1e30),
        one=np.float32(1e-30),
    ),
    "an exabyte of edges": _behind(_node("Pad", "was edges"), edges=np.array([0, 0, 1 << 58, 0])),
    "place out of bounds": _behind(_node("Gather", "was place", axis=0), place=np.array([1 << 40])),
    "wider output": _behind(_node("Concat", "was was", axis=1)),
    "narrower output": _behind(_node("ReduceMean", "was axis", keepdims=1), axis=np.array([1])),
    "output of whole numbers": _behind(_node("Shape", "was")),
    "output that is a number": _behind(_node("ReduceSum", "was", keepdims=0)),
    "output that is NaN": _behind(_node("Sub", "was was", "none"), _node("Div", "none none")),
    "input of another name": lambda graph: setattr(graph.graph.input[0], "name", "other"),
    "one input more": lambda graph: graph.graph.input.append(_value("more", TensorProto.FLOAT, 1)),
    "input of another type": lambda graph: setattr(graph.graph.input[0].type.tensor_type, "elem_type", 10),
    "no output": lambda graph: graph.graph.output.pop(),
    "output that nothing gives": lambda graph: graph.graph.output.insert(0, _value("nothing", TensorProto.FLOAT, 1)),
    "no nodes": lambda graph: graph.graph.ClearField("node"),
    "no graph": lambda graph: graph.ClearField("graph"),
    "operators of the year 9999": lambda graph: setattr(graph.opset_import[0], "version", 9999),
    "operators of no year": lambda graph: graph.ClearField("opset_import"),
    "format of the year 9999": lambda graph: setattr(graph, "ir_version", 9999),
    "no format": lambda graph: graph.ClearField("ir_version"),
}


def _field(number: int, data: bytes) -> bytes:
    """A field of a protobuf message."""
    tag, length = number << 3 | 2, len(data)
    head = bytearray()
    for number_left in (tag, length):
        rest = number_left
        while rest > 127:
            head.append(rest & 127 | 128)
            rest >>= 7
        head.append(rest)
    return bytes(head) + data


def _nested_graphs(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = _field(1, _field(4, b"Identity") + _field(5, _field(6, graph)))
    return _field(7, graph)


_GRAPH_FILES = {
    "nothing": b"",
    "zeros": bytes(1000),
    "all bits": b"\xff" * 1000,
    "text": b"pytorch",
    "a number without end": b"\x08" + b"\x80" * 100,
    "a length of an exabyte": b"\x3a" + b"\x80" * 8 + b"\x10",
    "graphs within graphs": _nested_graphs(2000),
    "groups within groups": b"\x3b" * 100_000,
    "the format of ONNX Runtime": b"\x20\x00\x00\x00ORTM" + bytes(100),
    "the format of ONNX Runtime in an ONNX file": b"\x22\x06\x00\x00ORTM" + bytes(100),
    "a zip": b"PK\x03\x04" + bytes(100),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(100),
}


def graphs(name: str) -> dict[str, Hostile]:
    """All that is done to the graph in the file of that name."""
    changed = {
        f"{name}: {what}": Hostile(_changing(name, change), "ONNX graph|cannot be run|golden|finite numbers")
        for what, change in _GRAPHS.items()
    }
    return {
        **changed,
        **{f"{name}: {what}": Hostile(vouching(name, data), "ONNX graph") for what, data in _GRAPH_FILES.items()},
    }


def _changing(name: str, change: Callable[[Graph], object]) -> Damage:
    def damage(path: Path) -> None:
        graph = onnx.load_from_string((path / name).read_bytes())
        change(graph)
        vouch(path, name, graph.SerializeToString())

    return damage
