"""Memory that a graph asks for has an end, and reaching it ends nothing but the run that asked."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.backbone import GRAPH_FILE
from models.onnx_memory import FOLDED_BYTES, MEMORY_BYTES
from models.onnx_session import open_session
from tests.hostile.damage import copy_of, vouching
from tests.hostile.readers import assert_refused
from tests.tiny_models import WIDTH, TinyStore

FLOAT_BYTES = 4


def graph_of_size(size: int | None) -> bytes:
    """A graph that makes so many zeros, or as many as it is told to, and adds their sum to what it is given."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["given", "sum"], ["answer"]),
    ]
    inputs = [helper.make_tensor_value_info("given", TensorProto.FLOAT, [1])]
    constants = []
    if size is None:
        inputs.append(helper.make_tensor_value_info("size", TensorProto.INT64, [1]))
    else:
        constants.append(numpy_helper.from_array(np.array([size], dtype=np.int64), "size"))
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "made", inputs, [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def test_a_run_that_asks_for_more_than_there_is_fails_alone(tiny: TinyStore) -> None:
    greedy, given = open_session(graph_of_size(None), threads=1), np.ones(1, dtype=np.float32)
    with pytest.raises(Exception, match="smaller than requested"):
        greedy.run(None, {"given": given, "size": np.array([MEMORY_BYTES // FLOAT_BYTES])})
    assert greedy.run(None, {"given": given, "size": np.array([1000])})[0] == 1
    vectors = np.ones((3, WIDTH), dtype=np.float32)
    assert np.isfinite(tiny.load_network().user_vectors([vectors])).all()


def test_a_network_that_asks_for_more_than_there_is_is_refused(sound: dict[str, Path], tmp_path: Path) -> None:
    graph = onnx.load_from_string((sound["backbone"] / GRAPH_FILE).read_bytes())
    (output,) = {value.name for value in graph.graph.output}
    for node in graph.graph.node:
        node.output[:] = ["was" if name == output else name for name in node.output]
    graph.graph.initializer.append(numpy_helper.from_array(np.array([MEMORY_BYTES // FLOAT_BYTES]), "size"))
    graph.graph.node.extend(
        [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Add", ["was", "sum"], [output]),
        ]
    )
    damage = vouching(GRAPH_FILE, graph.SerializeToString())
    assert_refused("backbone", copy_of(sound["backbone"], tmp_path, damage), "cannot be run: .*smaller than requested")


def test_opening_a_graph_computes_nothing_large() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    before = memory("VmRSS")
    session = open_session(graph_of_size(3 * FOLDED_BYTES // FLOAT_BYTES), threads=1)
    assert memory("VmHWM") - before < FOLDED_BYTES
    assert session.run(None, {"given": np.ones(1, dtype=np.float32)})[0] == 1
