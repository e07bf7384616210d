"""The trained network ─► ONNX, compared with torch before anyone relies on it."""

import numpy as np
import numpy.typing as npt
import torch

from models.networks.transformer import LastUserVector, UserTransformer
from models.onnx_session import open_session
from training.quiet import quiet_exporters

# ONNX Runtime fuses and reorders sums; over two post-norm layers in float32 that stays two orders below this.
TOLERANCE = 1e-4


class ExportError(RuntimeError):
    """The exported graph does not compute what the network does."""


def export_network(network: UserTransformer, width: int, max_history: int) -> bytes:
    """An ONNX graph: ``vectors`` float32 [batch, time, width], ``lengths`` int64 [batch] ─► ``users`` [batch, width].

    Args:
        network: what is exported.
        width: of its vectors.
        max_history: at least 3, else torch takes the time for a constant.

    Raises:
        ExportError: if a size was fixed in the graph, or its outputs differ from the network's by more than 1e-4.
    """
    module = LastUserVector(network).eval()
    example = (torch.zeros(2, 3, width), torch.tensor([3, 2]))
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time", min=2, max=max_history)
    with quiet_exporters(), torch.no_grad():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=["vectors", "lengths"],
            output_names=["users"],
            dynamic_shapes={"vectors": {0: batch, 1: time}, "lengths": {0: batch}},
            verbose=False,
        )
    if program is None:
        raise ExportError("torch did not export the network")
    graph = bytes(program.model_proto.SerializeToString())
    _compare(module, graph, width, max_history)
    return graph


def golden_example(network: UserTransformer, width: int, max_history: int) -> dict[str, npt.NDArray[np.generic]]:
    """Inputs and the outputs that torch gives for them, users of length one; the same for every export of a network."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, max_history, width, generator=generator)
    lengths = torch.tensor([1, 2, max(2, max_history // 2), max_history]).clamp(max=max_history)
    with torch.no_grad():
        hidden = network.eval()(vectors)
        users = torch.nn.functional.normalize(hidden[torch.arange(len(lengths)), lengths - 1], dim=-1)
    return {"vectors": vectors.numpy(), "lengths": lengths.numpy(), "users": users.numpy()}


def _compare(module: LastUserVector, graph: bytes, width: int, max_history: int) -> None:
    session = open_session(graph, threads=1)
    if any(isinstance(size, int) for size in session.get_inputs()[0].shape[:2]):
        raise ExportError(f"the graph's batch and time are fixed: {session.get_inputs()[0].shape}")
    generator = torch.Generator().manual_seed(1)
    for batch in (1, 2, 7, 64):
        for time in sorted({2, 3, max_history - 1, max_history} & set(range(2, max_history + 1))):
            vectors = torch.randn(batch, time, width, generator=generator)
            lengths = torch.randint(1, time + 1, (batch,), generator=generator)
            with torch.no_grad():  # the network as it was trained, so that the short cut of the export is judged, too
                hidden = module.network(vectors)
                expected = hidden[torch.arange(batch), lengths - 1].numpy()
            got = session.run(None, {"vectors": vectors.numpy(), "lengths": lengths.numpy()})[0]
            worst = float(np.abs(got - expected).max())
            if not worst <= TOLERANCE:
                raise ExportError(f"the graph is off by {worst:.2g} for a batch of {batch} histories of {time}")
