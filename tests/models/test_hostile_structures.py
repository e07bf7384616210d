"""Headers of tensors and graphs that say something odd, each changed where its grammar allows it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adapter import TENSORS_FILE
from models.backbone import GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE
from models.errors import VqrecError
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from tests.hostile.damage import Damage, copy_of, vouch, vouching
from tests.hostile.files import safetensors_file
from tests.hostile.readers import READERS

NUMBERS = st.sampled_from(
    [-(1 << 63), -1, 0, 1, 2, 3, 4, 8, 16, 31, 32, 33, 1 << 16, (1 << 31) - 1, 1 << 32, (1 << 63) - 1]
)
SHAPES = st.lists(NUMBERS, max_size=3)
DTYPES = st.sampled_from(["F32", "F16", "BF16", "F64", "I64", "U64", "BOOL", "F8_E4M3", "C64", "f32", "", None, 4])
ENTRIES = st.fixed_dictionaries(
    {"dtype": DTYPES, "shape": SHAPES, "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2)},
    optional={"more": st.none()},
)
NAMES = st.sampled_from(
    ["rotation", "centroids", "table", "weight", "bias", "item_marks", "vectors", "lengths", "users", ""]
)
CLAIMED = st.none() | st.none() | NUMBERS.filter(lambda number: number >= 0)
FILES = st.builds(
    safetensors_file,
    header=st.dictionaries(NAMES, ENTRIES, max_size=4),
    data=st.sampled_from([b"", bytes(4), bytes(64), bytes(1024)]),
    claimed=CLAIMED,
)


@pytest.mark.parametrize(
    ("kind", "name"), [("adapter", TENSORS_FILE), ("backbone", GOLDEN_FILE), ("backbone", PROJECTION_FILE)]
)
@settings(max_examples=60, derandomize=True)
@given(file=FILES)
def test_tensors_of_any_claims_are_refused_or_sound(sound: dict[str, Path], kind: str, name: str, file: bytes) -> None:
    assert_refused_or_sound(kind, sound[kind], vouching(name, file))


Change = Callable[[onnx.GraphProto], object]
OPERATORS = st.sampled_from(
    [
        "Add",
        "Mul",
        "Div",
        "Pow",
        "MatMul",
        "Gemm",
        "Softmax",
        "Reshape",
        "Expand",
        "Tile",
        "Range",
        "TopK",
        "Gather",
        "Slice",
        "Concat",
        "Transpose",
        "Cast",
        "Where",
        "NonZero",
    ]
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """One change of a graph, at a place of it that is told by a share."""
    place, number, other = draw(st.floats(0, 0.999)), draw(NUMBERS), draw(st.floats(0, 0.999))
    operator, shape = draw(OPERATORS), draw(SHAPES)
    what = draw(st.sampled_from(["operator", "input", "attribute", "shape", "constant", "drop", "double"]))

    def change(graph: onnx.GraphProto) -> None:
        node = graph.node[int(place * len(graph.node))]
        constant = graph.initializer[int(place * len(graph.initializer))]
        names = [constant.name for constant in graph.initializer] + [
            name for node in graph.node for name in node.output
        ]
        if what == "operator":
            node.op_type = operator
        elif what == "input" and node.input:
            node.input[int(other * len(node.input))] = names[int(other * len(names))]
        elif what == "attribute" and node.attribute:
            attribute = node.attribute[int(other * len(node.attribute))]
            attribute.i, attribute.ints[:] = number, shape
        elif what == "shape":
            constant.dims[:] = shape
        elif what == "constant" and constant.data_type == onnx.TensorProto.INT64:
            constant.raw_data = number.to_bytes(8, "little", signed=True) * max(1, len(constant.raw_data) // 8)
        elif what == "drop":
            graph.node.remove(node)
        else:
            graph.node.append(node)

    return change


@pytest.mark.parametrize(("kind", "name"), [("backbone", GRAPH_FILE), ("text encoder", TEXT_GRAPH_FILE)])
@settings(max_examples=60, derandomize=True)
@given(made=st.lists(changes(), min_size=1, max_size=3))
def test_a_graph_that_is_changed_is_refused_or_sound_all_the_same(
    sound: dict[str, Path], kind: str, name: str, made: list[Change]
) -> None:
    def damage(path: Path) -> None:
        model = onnx.load_from_string((path / name).read_bytes())
        for change in made:
            change(model.graph)
        vouch(path, name, model.SerializeToString())

    assert_refused_or_sound(kind, sound[kind], damage)


def assert_refused_or_sound(kind: str, source: Path, damage: Damage) -> None:
    """Whatever is read must be fit to serve: the reader itself sees to that."""
    with tempfile.TemporaryDirectory() as folder:
        path = copy_of(source, Path(folder), damage)
        try:
            READERS[kind](path)
        except VqrecError as error:
            assert 10 < len(error.detail) < 1500
            error.detail.encode()
