"""Histories ─► user vectors, under ONNX Runtime."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidArtifactError, InvalidCodesError
from models.user_network import UserNetwork
from tests.tiny_models import MAX_HISTORY, WIDTH, TinyStore


@pytest.fixture(scope="module")
def network(tiny: TinyStore) -> UserNetwork:
    return tiny.load_network()


def histories(*lengths: int, seed: int = 0) -> list[npt.NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, WIDTH)).astype(np.float32) for length in lengths]


@given(lengths=st.lists(st.integers(1, MAX_HISTORY + 3), min_size=1, max_size=150), seed=st.integers(0, 2**32 - 1))
def test_a_history_gives_the_same_user_alone_and_in_any_company(
    network: UserNetwork, lengths: list[int], seed: int
) -> None:
    batch = histories(*lengths, seed=seed)
    together = network.user_vectors(batch)
    assert together.shape == (len(lengths), WIDTH)
    order = np.random.default_rng(seed).permutation(len(batch))
    assert network.user_vectors([batch[place] for place in order]).tobytes() == together[order].tobytes()
    for place in {0, len(batch) // 2, len(batch) - 1}:
        assert network.user_vectors([batch[place]]).tobytes() == together[place].tobytes()


def test_users_have_length_one_and_depend_on_the_order_of_items(network: UserNetwork) -> None:
    (history,) = histories(5)
    users = network.user_vectors([history, history[::-1]])
    np.testing.assert_allclose(np.linalg.norm(users, axis=1), 1, atol=1e-6)
    assert np.abs(users[0] - users[1]).max() > 1e-2


@pytest.mark.parametrize("longer", [1, 2, 1000])
def test_a_history_too_long_counts_by_its_most_recent_items(network: UserNetwork, longer: int) -> None:
    (history,) = histories(MAX_HISTORY + longer)
    whole, recent, oldest = network.user_vectors([history, history[-MAX_HISTORY:], history[:MAX_HISTORY]])
    assert whole.tobytes() == recent.tobytes() != oldest.tobytes()


@pytest.mark.parametrize("shape", [(0, WIDTH), (3, WIDTH + 1), (3, WIDTH - 1), (WIDTH,), (1, 3, WIDTH)])
def test_a_history_that_is_empty_or_of_another_width_is_refused(network: UserNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidCodesError, match="expected a history"):
        network.user_vectors([*histories(3), np.zeros(shape, dtype=np.float32)])


def test_no_histories_give_no_users(network: UserNetwork) -> None:
    assert network.user_vectors([]).shape == (0, WIDTH)


def test_warming_up_changes_no_answer(tiny: TinyStore) -> None:
    cold, warm = tiny.load_network(), tiny.load_network()
    warm.warm_up()
    batch = histories(1, 4, 5, MAX_HISTORY)
    assert cold.user_vectors(batch).tobytes() == warm.user_vectors(batch).tobytes()


def test_a_graph_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArtifactError):
        UserNetwork.open(b"no graph", WIDTH, MAX_HISTORY, threads=1)
