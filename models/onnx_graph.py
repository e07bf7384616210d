"""What an ONNX file may hold, checked before ONNX Runtime sees it.

A graph is a program. One of ours is a straight line: standard operators of a Transformer, constants inside the file.
One that branches or loops can run for ever, one with constants elsewhere reads other files, and one with operators of
its own calls code that nobody here chose. This walks the file without the onnx package, which the service lacks.
"""

from collections.abc import Iterator

from models.errors import InvalidArtifactError

# Numbers of fields: onnx/onnx.proto, which promises to keep them.
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_CONSTANT, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL = (13, 14)

_ARITHMETIC = """
Abs Add Cast CastLike Ceil Clip CumSum Div Einsum Elu Erf Exp Floor Gelu HardSigmoid Identity LeakyRelu Log Max Mean Min
Mod Mul Neg Pow Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Round
Sigmoid Sign Sin Cos Softplus Sqrt Sub Sum Swish Tanh
"""
_CHOICES = """
And ArgMax ArgMin Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual NonZero Not Or TopK Where Xor
"""
_LAYERS = """
Attention BatchNormalization DequantizeLinear Dropout DynamicQuantizeLinear Gemm GroupNormalization
InstanceNormalization LayerNormalization LogSoftmax LpNormalization MatMul MatMulInteger QLinearMatMul QuantizeLinear
RMSNormalization RotaryEmbedding Softmax
"""
_SHAPES = """
Concat Constant ConstantOfShape Expand Flatten Gather GatherElements GatherND OneHot Pad Range Reshape ScatterElements
ScatterND Shape Size Slice Split Squeeze Tile Transpose Trilu Unsqueeze
"""
_OPERATORS = frozenset((_ARITHMETIC + _CHOICES + _LAYERS + _SHAPES).split())

Field = tuple[int, int | memoryview]


def check_graph(graph: bytes) -> None:
    """Check that a serialised ONNX model is one straight line of known operators, with all that it needs inside.

    What is not ONNX at all is left to ONNX Runtime to refuse, as long as it can be walked.

    Raises:
        InvalidArtifactError: naming the first thing that may not be there.
    """
    for number, value in _fields(memoryview(graph)):
        if number in (_MODEL_FUNCTIONS, _MODEL_TRAINING):
            raise _refused("it brings functions of its own")
        if number == _MODEL_GRAPH:
            _check_nodes_and_constants(_message(value))


def _check_nodes_and_constants(graph: memoryview) -> None:
    for number, value in _fields(graph):
        if number == _GRAPH_SPARSE:
            raise _refused("it has sparse constants")
        if number == _GRAPH_NODE:
            _check_node(_message(value))
        elif number == _GRAPH_CONSTANT:
            _check_constant(_message(value))


def _check_node(node: memoryview) -> None:
    operator = ""
    for number, value in _fields(node):
        if number == _NODE_ATTRIBUTE:
            _check_attribute(_message(value))
        elif number == _NODE_OPERATOR:
            operator = _text(value)
        elif number == _NODE_DOMAIN and _text(value) not in ("", "ai.onnx"):
            raise _refused(f"it has an operator of the domain {_text(value)!r}")
    if operator not in _OPERATORS:
        raise _refused(f"it has the operator {operator!r}, which is none of those known here")


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in _ATTRIBUTE_GRAPHS:
            raise _refused("it has a graph within the graph")
        if number in _ATTRIBUTE_SPARSE:
            raise _refused("it has sparse constants")
        if number in _ATTRIBUTE_TENSORS:
            _check_constant(_message(value))


def _check_constant(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number in _TENSOR_EXTERNAL and value != 0:
            raise _refused("it refers to data in another file")


def _fields(message: memoryview) -> Iterator[Field]:
    """The fields of a protobuf message: a number, and an int or the bytes of a string, a message or a packed list."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, place = _varint(message, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _refused("it is not a protobuf message")
        if length > len(message) - place:
            raise _refused("it is cut short")
        yield tag >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, place + shift + 1
    raise _refused("it is cut short")


def _message(value: int | memoryview) -> memoryview:
    return memoryview(b"") if isinstance(value, int) else value


def _text(value: int | memoryview) -> str:
    return _message(value)[:100].tobytes().decode(errors="replace")


def _refused(fault: str) -> InvalidArtifactError:
    return InvalidArtifactError(f"the ONNX graph cannot be loaded: {fault}")
