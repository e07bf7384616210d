"""ONNX graphs that are damaged, or would run for ever, read other files or take all memory, are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.backbone import GRAPH_FILE
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from tests.hostile.damage import copy_of, vouching
from tests.hostile.readers import assert_refused

Graph = onnx.ModelProto


def constant(graph: Graph, name: str) -> Any:
    return next(tensor for tensor in graph.graph.initializer if tensor.name == name)


def first_constant(graph: Graph) -> Any:
    return graph.graph.initializer[0]


def refer_elsewhere(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def claim(*dims: int) -> Callable[[Graph], object]:
    def change(graph: Graph) -> None:
        tensor = first_constant(graph)
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return change


def refill(value: float) -> Callable[[Graph], object]:
    def change(graph: Graph) -> None:
        tensor = first_constant(graph)
        array = np.full_like(numpy_helper.to_array(tensor), value)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def behind(*nodes: onnx.NodeProto, **constants: Any) -> Callable[[Graph], object]:
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


def node(operator: str, inputs: str, outputs: str = "is", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def within(*nodes: onnx.NodeProto, inputs: Any = (), outputs: Any = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "within", list(inputs), list(outputs))


def value(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


ENDLESS = within(
    node("Identity", "going", "on"),
    node("Identity", "before", "after"),
    inputs=[
        value("turn", TensorProto.INT64),
        value("going", TensorProto.BOOL),
        helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
    ],
    outputs=[value("on", TensorProto.BOOL), helper.make_tensor_value_info("after", TensorProto.FLOAT, None)],
)
BRANCH = within(node("Identity", "was", "taken"), outputs=[value("taken", TensorProto.FLOAT)])
ELSEWHERE = helper.make_tensor("there", TensorProto.FLOAT, [1], [1.0])
refer_elsewhere(ELSEWHERE, "/etc/passwd")

GRAPHS: dict[str, Callable[[Graph], object]] = {
    **{
        f"constant in {location}": lambda graph, location=location: refer_elsewhere(first_constant(graph), location)  # type: ignore[misc]
        for location in ("/etc/passwd", "../manifest.json", "network.onnx", "", "/dev/zero", "/proc/self/mem")
    },
    "constant elsewhere in a node": behind(node("Constant", "", "there", value=ELSEWHERE), node("Add", "was there")),
    **{
        f"constant of shape {dims}": claim(*dims)
        for dims in ((1 << 40,), (1 << 31, 1 << 31), (1 << 62, 8), (-1, 8), (-(1 << 62),), (3, 5), (0,), (1,) * 5000)
    },
    "constant NaN": refill(np.nan),
    "constant infinite": refill(np.inf),
    "constant huge": refill(3e38),
    "constant lost": lambda graph: graph.graph.initializer.pop(0),
    "constant without type": lambda graph: setattr(first_constant(graph), "data_type", 0),
    "constant of unknown type": lambda graph: setattr(first_constant(graph), "data_type", 99),
    "constant of text": lambda graph: first_constant(graph).CopyFrom(
        numpy_helper.from_array(np.array(["text"], dtype=object), first_constant(graph).name)
    ),
    "sparse constant": lambda graph: graph.graph.sparse_initializer.add(dims=[1 << 40]),
    "operator of no name": behind(node("", "was")),
    "operator unknown": behind(node("Sumatra", "was")),
    "operator of chance": behind(node("RandomNormalLike", "was")),
    "operator of another domain": behind(node("Gelu", "was", domain="com.microsoft")),
    "operator of training": behind(node("Gradient", "was", domain="ai.onnx.preview.training")),
    "operator of an unknown domain": behind(node("Add", "was was", domain="evil")),
    "endless loop": behind(node("Loop", "turns yes was", body=ENDLESS), yes=True, turns=np.int64(1 << 62)),
    "branch": behind(node("If", "yes", then_branch=BRANCH, else_branch=BRANCH), yes=True),
    "scan": behind(node("Scan", "was", body=BRANCH, num_scan_inputs=1)),
    "function of its own": lambda graph: graph.functions.add(name="Mine", domain="mine"),
    "cycle": behind(node("Add", "was later"), node("Identity", "is", "later")),
    "cycle of one": behind(node("Add", "was again", "again"), node("Identity", "again")),
    "input from nowhere": behind(node("Add", "was nowhere")),
    "result of two nodes": behind(node("Identity", "was"), node("Identity", "was")),
    "too many inputs": behind(node("Identity", " ".join(["was"] * 100))),
    "no inputs": behind(node("Add", "")),
    "an exabyte asked for": behind(
        node("ConstantOfShape", "size", "filled"),
        node("ReduceSum", "filled", "sum"),
        node("Add", "was sum"),
        size=np.array([1 << 60]),
    ),
    "an exabyte spread": behind(node("Expand", "was size"), size=np.array([1 << 58, 1, 1])),
    "an exabyte in tiles": behind(node("Tile", "was times"), times=np.array([1 << 58, 1])),
    "an exabyte counted": behind(
        node("Range", "zero end one", "counted"),
        node("ReduceSum", "counted", "sum"),
        node("Add", "was sum"),
        zero=np.float32(0),
        end=np.float32(1e30),
        one=np.float32(1e-30),
    ),
    "an exabyte of edges": behind(node("Pad", "was edges"), edges=np.array([0, 0, 1 << 58, 0])),
    "place out of bounds": behind(node("Gather", "was place", axis=0), place=np.array([1 << 40])),
    "wider output": behind(node("Concat", "was was", axis=1)),
    "narrower output": behind(node("ReduceMean", "was axis", keepdims=1), axis=np.array([1])),
    "output of whole numbers": behind(node("Shape", "was")),
    "output that is a number": behind(node("ReduceSum", "was", keepdims=0)),
    "output that is NaN": behind(node("Sub", "was was", "none"), node("Div", "none none")),
    "input of another name": lambda graph: setattr(graph.graph.input[0], "name", "other"),
    "one input more": lambda graph: graph.graph.input.append(value("more", TensorProto.FLOAT, 1)),
    "input of another type": lambda graph: setattr(graph.graph.input[0].type.tensor_type, "elem_type", 10),
    "no output": lambda graph: graph.graph.output.pop(),
    "output that nothing gives": lambda graph: graph.graph.output.insert(0, value("nothing", TensorProto.FLOAT, 1)),
    "no nodes": lambda graph: graph.graph.ClearField("node"),
    "no graph": lambda graph: graph.ClearField("graph"),
    "operators of the year 9999": lambda graph: setattr(graph.opset_import[0], "version", 9999),
    "operators of no year": lambda graph: graph.ClearField("opset_import"),
    "format of the year 9999": lambda graph: setattr(graph, "ir_version", 9999),
    "no format": lambda graph: graph.ClearField("ir_version"),
}


def field(number: int, data: bytes) -> bytes:
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


def nested_graphs(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = field(1, field(4, b"Identity") + field(5, field(6, graph)))
    return field(7, graph)


GRAPH_FILES = {
    "nothing": b"",
    "zeros": bytes(1000),
    "all bits": b"\xff" * 1000,
    "text": b"pytorch",
    "a number without end": b"\x08" + b"\x80" * 100,
    "a length of an exabyte": b"\x3a" + b"\x80" * 8 + b"\x10",
    "graphs within graphs": nested_graphs(2000),
    "groups within groups": b"\x3b" * 100_000,
    "the format of ONNX Runtime": b"\x20\x00\x00\x00ORTM" + bytes(100),
    "the format of ONNX Runtime in an ONNX file": b"\x22\x06\x00\x00ORTM" + bytes(100),
    "a zip": b"PK\x03\x04" + bytes(100),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(100),
}

GRAPH_NAMES = {"backbone": GRAPH_FILE, "text encoder": TEXT_GRAPH_FILE}


@pytest.mark.parametrize("kind", GRAPH_NAMES)
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_is_not_what_it_should_be_is_refused(
    sound: dict[str, Path], tmp_path: Path, kind: str, name: str
) -> None:
    graph = onnx.load_from_string((sound[kind] / GRAPH_NAMES[kind]).read_bytes())
    GRAPHS[name](graph)
    damage = vouching(GRAPH_NAMES[kind], graph.SerializeToString())
    assert_refused(kind, copy_of(sound[kind], tmp_path, damage), "ONNX graph|cannot be run|golden|finite numbers")


@pytest.mark.parametrize("kind", GRAPH_NAMES)
@pytest.mark.parametrize("name", GRAPH_FILES)
def test_what_is_no_graph_is_refused(sound: dict[str, Path], tmp_path: Path, kind: str, name: str) -> None:
    damage = vouching(GRAPH_NAMES[kind], GRAPH_FILES[name])
    assert_refused(kind, copy_of(sound[kind], tmp_path, damage), "ONNX graph")


def test_a_graph_cannot_read_another_file(sound: dict[str, Path], tmp_path: Path) -> None:
    """Even one that is there and has just the right size."""
    graph = onnx.load_from_string((sound["backbone"] / GRAPH_FILE).read_bytes())
    weights = tmp_path / "weights"
    weights.write_bytes(constant(graph, "weight").raw_data)
    refer_elsewhere(constant(graph, "weight"), str(weights))
    damage = vouching(GRAPH_FILE, graph.SerializeToString())
    assert_refused("backbone", copy_of(sound["backbone"], tmp_path, damage), "data in another file")
