"""How this project runs ONNX graphs: one way for the text encoder and the network, in training and in the service."""

from collections.abc import Sequence

import onnxruntime as ort

from models.errors import InvalidArtifactError
from models.onnx_graph import check_graph
from models.onnx_memory import bound_memory


def open_session(graph: bytes, threads: int, without: Sequence[str] = ()) -> ort.InferenceSession:
    """An ONNX Runtime session on the CPU.

    Idle threads do not spin, since they would take the processor from the event loop. Memory patterns are off: they are
    planned and kept for every new input shape, and histories and texts come in many.

    Args:
        graph: the serialised ONNX model, without external data.
        threads: intra-op threads.
        without: optimisations of ONNX Runtime, by its names, that make this graph slower.

    Raises:
        InvalidArtifactError: if it holds what it may not, or ONNX Runtime refuses it.
    """
    check_graph(graph)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never by what the bytes look like
    bound_memory(options)
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(without),
            enable_fallback=0,  # which would try the same again, and say so on standard output
        )
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types, all of which mean this
        raise InvalidArtifactError(f"the ONNX graph cannot be loaded: {str(error)[:500]}") from error
