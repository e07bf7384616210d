"""The network in torch: what a position may depend on."""

import pytest
import torch

from models.manifest import TransformerArchitecture
from models.networks.transformer import LastUserVector, UserTransformer

WIDTH, MAX_HISTORY = 12, 9


@pytest.fixture(params=[False, True], ids=["plain", "output map"])
def network(request: pytest.FixtureRequest) -> UserTransformer:
    torch.manual_seed(0)
    architecture = TransformerArchitecture(layers=2, heads=3, inner=16, output_map=request.param)
    return UserTransformer(architecture, WIDTH, MAX_HISTORY).eval()


@pytest.mark.parametrize("position", range(MAX_HISTORY))
def test_a_position_depends_on_itself_and_on_all_before_it_alone(network: UserTransformer, position: int) -> None:
    vectors = torch.randn(1, MAX_HISTORY, WIDTH, requires_grad=True)
    network(vectors)[0, position].square().sum().backward()
    assert vectors.grad is not None
    reached = vectors.grad[0].abs().sum(dim=1) > 0
    assert reached.tolist() == [time <= position for time in range(MAX_HISTORY)]


def test_the_order_of_items_counts(network: UserTransformer) -> None:
    for parameter in network.parameters():  # as training would leave them: fresh ones are all but zero
        torch.nn.init.normal_(parameter, std=0.5)
    vectors = torch.randn(1, 5, WIDTH)
    swapped = vectors[:, [1, 0, 2, 3, 4]]
    with torch.no_grad():
        assert not torch.allclose(network(vectors)[0, -1], network(swapped)[0, -1], atol=1e-2)


def test_what_is_exported_is_the_last_position_of_each_history_whatever_the_padding(network: UserTransformer) -> None:
    vectors, lengths = torch.randn(3, MAX_HISTORY, WIDTH), torch.tensor([1, 4, MAX_HISTORY])
    with torch.no_grad():
        users = LastUserVector(network)(vectors, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = network(vectors[row : row + 1, :length])[0, -1]
            torch.testing.assert_close(users[row], alone, atol=1e-5, rtol=0)


def test_dropout_is_for_training_alone(network: UserTransformer) -> None:
    vectors = torch.randn(2, 5, WIDTH)
    with torch.no_grad():
        assert torch.equal(network(vectors), network(vectors))
        network.train()
        assert not torch.equal(network(vectors), network(vectors))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of the 5 heads"):
        UserTransformer(TransformerArchitecture(heads=5), WIDTH, MAX_HISTORY)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_last_position_alone_is_what_the_whole_gives_there(layers: int, heads: int) -> None:
    torch.manual_seed(layers * 10 + heads)
    network = UserTransformer(TransformerArchitecture(layers=layers, heads=heads, inner=16), 8, 12).eval()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape)
    vectors, lengths = torch.randn(12, 12, 8), torch.arange(1, 13)
    with torch.no_grad():
        whole = network(vectors)[torch.arange(12), lengths - 1]
        torch.testing.assert_close(network.last(vectors, lengths), whole, rtol=0, atol=2e-4)
