"""The exported network computes what torch does, and a batch what its members do one at a time."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.manifest import TransformerArchitecture
from models.networks.transformer import UserTransformer
from models.onnx_session import open_session
from models.user_network import UserNetwork
from training.network_export import ExportError, export_network, golden_example

WIDTH, MAX_HISTORY = 300, 50
BATCHES, LENGTHS = (1, 2, 7, 64), (1, 2, 49, 50)
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network() -> UserTransformer:
    """The default network, with weights as large as training makes them."""
    generator = torch.Generator().manual_seed(0)
    network = UserTransformer(TransformerArchitecture(output_map=True), WIDTH, MAX_HISTORY).eval()
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise / WIDTH**0.5 if parameter.dim() == 2 else parameter.data + 0.2 * noise
        if name == "positions.weight":
            parameter.data = 0.3 * noise
    return network


@pytest.fixture(scope="module")
def graph(network: UserTransformer) -> bytes:
    return export_network(network, WIDTH, MAX_HISTORY)


@pytest.fixture(scope="module")
def served(graph: bytes) -> UserNetwork:
    return UserNetwork.open(graph, WIDTH, MAX_HISTORY, threads=1)


def draw(*shape: int, seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def torch_users(network: UserTransformer, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The output at the last position of whole histories [batch, time, width], not normalised."""
    with torch.no_grad():
        users: npt.NDArray[np.float32] = network(torch.from_numpy(vectors))[:, -1].numpy()
    return users


def normalised(users: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(users / np.linalg.norm(users, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_served_users_are_torchs(network: UserTransformer, served: UserNetwork, batch: int, length: int) -> None:
    vectors = draw(batch, length, WIDTH, seed=batch * 100 + length)
    expected = normalised(torch_users(network, vectors))
    np.testing.assert_allclose(served.user_vectors(list(vectors)), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("time", [2, 49, 50])
def test_the_raw_graph_is_torchs_whatever_the_padding_holds(
    network: UserTransformer, graph: bytes, batch: int, time: int
) -> None:
    session = open_session(graph, threads=1)
    vectors = draw(batch, time, WIDTH, seed=batch * 100 + time)
    for length in (length for length in LENGTHS if length <= time):
        lengths = np.full(batch, length, dtype=np.int64)
        users = session.run(None, {"vectors": vectors, "lengths": lengths})[0]
        np.testing.assert_allclose(users, torch_users(network, vectors[:, :length]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [2, 7, 64, 150])
def test_a_batch_gives_bit_for_bit_what_its_members_give_alone(graph: bytes, batch: int, threads: int) -> None:
    served = UserNetwork.open(graph, WIDTH, MAX_HISTORY, threads)
    lengths = np.random.default_rng(batch).choice([*LENGTHS, 3, 4, 5, 8, 9, 31, 32, 33, 70], size=batch)
    histories = [draw(length, WIDTH, seed=number) for number, length in enumerate(lengths)]
    together = served.user_vectors(histories)
    alone = np.concatenate([served.user_vectors([history]) for history in histories])
    assert together.tobytes() == alone.tobytes()


def test_the_golden_users_are_torchs_and_the_exported_graph_gives_them(
    network: UserTransformer, served: UserNetwork
) -> None:
    golden = golden_example(network, WIDTH, MAX_HISTORY)
    assert sorted(golden["lengths"].tolist()) == [1, 2, 25, 50]
    histories = [
        row[:length]
        for row, length in zip(golden["vectors"].astype(np.float32), golden["lengths"].tolist(), strict=True)
    ]
    expected = np.concatenate([normalised(torch_users(network, history[None])) for history in histories])
    np.testing.assert_allclose(golden["users"].astype(np.float32), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(served.user_vectors(histories), expected, rtol=0, atol=TOLERANCE)


class _Forgetful(UserTransformer):
    """Computes something else when it is traced for export, as a fast path of torch once did."""

    def last(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        users = super().last(vectors, lengths)
        return users * 1.01 if torch.compiler.is_exporting() else users


def test_a_graph_that_computes_something_else_is_not_exported() -> None:
    network = _Forgetful(TransformerArchitecture(layers=1, heads=1, inner=8), 8, 6).eval()
    with pytest.raises(ExportError, match="off by"):
        export_network(network, 8, 6)
