"""The network over items without codes: its loss and its scores, beside ones that take their time."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.manifest import TransformerArchitecture
from training.baselines.item_network import BaselineConfig, ItemNetwork, NetworkScorer, Similarity
from training.baselines.sasrec import IdEncoder
from training.batches import epoch_batches, training_sequences
from training.config import NetworkConfig
from training.histories import Histories

ITEMS, WIDTH, LONGEST = 20, 8, 6
TRAINED = np.arange(ITEMS) < 15
CONFIG = BaselineConfig(
    NetworkConfig(TransformerArchitecture(layers=1, heads=2, inner=16, dropout=0.0), WIDTH, LONGEST, temperature=0.1)
)


def random_model(similarity: Similarity = "cosine") -> ItemNetwork:
    torch.manual_seed(0)
    return ItemNetwork(IdEncoder(ITEMS, WIDTH), TRAINED, replace(CONFIG, similarity=similarity))


def random_histories(users: int) -> list[npt.NDArray[np.int32]]:
    rng = np.random.default_rng(0)
    return [rng.integers(15, size=rng.integers(2, LONGEST)).astype(np.int32) for _ in range(users)]


def user_vector(model: ItemNetwork, history: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    with torch.no_grad():
        vectors = model.items()[torch.from_numpy(history).long()]
        return np.asarray(model.network.eval()(vectors[None])[0, -1].double().numpy())


def similarities(
    user: npt.NDArray[np.float64], items: npt.NDArray[np.float64], similarity: Similarity
) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(items, axis=1) * np.linalg.norm(user) if similarity == "cosine" else 1.0
    return np.asarray(items @ user / lengths)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_the_loss_is_the_cross_entropy_of_every_position_over_the_items_of_training(similarity: Similarity) -> None:
    model, histories = random_model(similarity), random_histories(9)
    lengths = [len(history) for history in histories]
    together = Histories(tuple("abcdefghi"), np.concatenate(histories), np.cumsum([0, *lengths]))
    (batch,) = epoch_batches(training_sequences(together, LONGEST), seed=0)
    items = model.items().detach().double().numpy()[TRAINED]
    losses = []
    for history in histories:
        for end in range(1, len(history)):
            logits = similarities(user_vector(model, history[:end]), items, similarity)
            logits = logits / 0.1 if similarity == "cosine" else logits
            losses.append(np.log(np.exp(logits).sum()) - logits[history[end]])
    assert model.full_softmax(batch).item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_scores_compare_the_last_user_vector_with_every_item(similarity: Similarity) -> None:
    model = random_model(similarity)
    histories = [*random_histories(600), np.arange(15, dtype=np.int32)]  # the last is longer than the network reads
    scores = NetworkScorer.of(model, rankable=np.ones(ITEMS, dtype=np.bool_)).scores(histories)
    items = model.items().detach().double().numpy()
    assert scores.dtype == np.float32
    for user in (0, 1, 511, 512, 600):
        expected = similarities(user_vector(model, histories[user][-LONGEST:]), items, similarity)
        np.testing.assert_allclose(scores[user], expected, atol=1e-5)


def test_items_that_have_no_meaning_score_alike_and_below_all_others() -> None:
    scores = NetworkScorer.of(random_model(), rankable=TRAINED).scores(random_histories(30))
    unknown = scores[:, ~TRAINED]
    assert (unknown < scores[:, TRAINED].min(axis=1, keepdims=True)).all()
    assert (unknown == unknown[:, :1]).all()
    assert np.isfinite(scores).all()
