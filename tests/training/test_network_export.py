"""Exporting networks of any size; the default one is compared with torch in tests/parity."""

import numpy as np
import pytest
import torch

from models.manifest import TransformerArchitecture
from models.networks.transformer import LastUserVector, UserTransformer
from models.onnx_session import open_session
from training.network_export import export_network, golden_example

WIDTH = 8


def small_network(max_history: int, seed: int = 0) -> UserTransformer:
    torch.manual_seed(seed)
    return UserTransformer(TransformerArchitecture(layers=1, heads=2, inner=8), WIDTH, max_history)


@pytest.mark.training
@pytest.mark.parametrize("max_history", [3, 130])
def test_short_and_long_networks_are_exported_with_batch_and_time_left_open(max_history: int) -> None:
    network = small_network(max_history).train()  # dropout must not get into the graph
    session = open_session(export_network(network, WIDTH, max_history), threads=1)
    assert [entry.name for entry in session.get_inputs()] == ["vectors", "lengths"]
    assert not any(isinstance(size, int) for size in session.get_inputs()[0].shape[:2])
    vectors, lengths = torch.randn(3, max_history, WIDTH), torch.tensor([1, 2, max_history])
    with torch.no_grad():
        expected = LastUserVector(network).eval()(vectors, lengths).numpy()
    users = session.run(None, {"vectors": vectors.numpy(), "lengths": lengths.numpy()})[0]
    np.testing.assert_allclose(users, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("max_history", [2, 3, 50])
def test_the_golden_example_covers_short_and_whole_histories_and_is_always_the_same(max_history: int) -> None:
    one, again = (golden_example(small_network(max_history), WIDTH, max_history) for _ in range(2))
    other = golden_example(small_network(max_history, seed=1), WIDTH, max_history)
    assert {1, max_history} <= set(one["lengths"].tolist())
    assert max(one["lengths"].tolist()) == max_history
    np.testing.assert_allclose(np.linalg.norm(one["users"].astype(np.float64), axis=1), 1, atol=1e-5)
    assert one["users"].tobytes() == again["users"].tobytes() != other["users"].tobytes()
