"""What a step of training costs the model: who is a candidate, and who is not."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.codes import CodeLayout
from models.manifest import TransformerArchitecture
from models.networks.code_embedding import CodeEmbedding, TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer
from tests.tiny_models import LAYOUT, TEXT_DIM, WIDTH, tiny_quantizer
from training.batches import Batch
from training.dataset import Dataset, Items
from training.histories import Histories, split_leave_one_out
from training.next_item_model import NextItemModel
from training.shop import Shop

ITEMS = 30
NEVER_BOUGHT = 29


def shop(seed: int) -> Shop:
    """Thirty items with random codes, of which the last is bought by nobody; items 3 and 7 share a code."""
    rng = np.random.default_rng(seed)
    histories = Histories(
        tuple(f"u{user:02d}" for user in range(20)),
        rng.permutation(np.resize(np.arange(NEVER_BOUGHT), 200)).astype(np.int32),
        np.arange(21, dtype=np.int64) * 10,
    )
    items = Items(tuple(f"i{item:02d}" for item in range(ITEMS)), [""] * ITEMS, [{}] * ITEMS)
    codes = rng.integers(LAYOUT.codebook_size, size=(ITEMS, LAYOUT.num_codebooks)).astype(np.uint8)
    codes[7] = codes[3]
    return Shop(Dataset(items, histories), split_leave_one_out(histories), tiny_quantizer(seed), codes)


@pytest.fixture
def model() -> NextItemModel:
    """Two shops, without dropout, with rows as training would leave them."""
    torch.manual_seed(0)
    shops = [shop(0), shop(1)]
    network = UserTransformer(TransformerArchitecture(layers=1, heads=2, inner=8, dropout=0), WIDTH, 12)
    tables = TiedCodeEmbedding([of.quantizer for of in shops], WIDTH)
    torch.nn.init.normal_(tables.free)
    return NextItemModel(network, tables, shops, temperature=0.1)


def batch(items: Sequence[Sequence[int]], seed: int = 0) -> Batch:
    """Sequences of one length, of which the last item is a target alone."""
    whole = torch.tensor(items)
    inputs, targets = whole[:, :-1], whole[:, 1:].flatten()
    return Batch(inputs, torch.ones_like(inputs, dtype=torch.bool), targets, seed)


def random_batch(rows: int, seed: int) -> Batch:
    return batch(np.random.default_rng(seed).integers(2 * ITEMS, size=(rows, 6)).tolist(), seed)


def test_the_loss_is_the_likelihood_of_the_target_among_the_targets(model: NextItemModel) -> None:
    of = batch([[1, 2, 40]])
    vectors = torch.nn.functional.normalize(model.tables(model.rows[of.targets]), dim=-1)
    users = model.users(model.tables(model.rows[of.items[0]])[None], of.counts)
    expected = -(users @ vectors.T / 0.1).log_softmax(dim=1).diagonal().mean()
    assert model.in_batch_contrastive(of).item() == pytest.approx(expected.item(), rel=1e-5)


def test_targets_of_one_code_are_no_negatives_of_each_other(model: NextItemModel) -> None:
    assert model.in_batch_contrastive(batch([[1, 3], [2, 7]])).item() == pytest.approx(0, abs=1e-6)
    assert model.in_batch_contrastive(batch([[1, 3], [2, 8]])).item() > 1e-3


def test_an_item_of_the_second_shop_is_looked_up_in_the_second_table(model: NextItemModel) -> None:
    with torch.no_grad():
        vector = model.tables(model.rows[ITEMS + 5 : ITEMS + 6])[0].numpy()
    expected = model.tables.fold(1).raw(model.shops[1].codes[5:6])[0]
    np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_items_that_nobody_bought_in_training_are_no_negatives(model: NextItemModel) -> None:
    pairs = zip(model.shops, (0, ITEMS), strict=True)
    bought = {int(item) + first for shop, first in pairs for item in shop.trained_items}
    assert set(model.trained_items.tolist()) == bought
    assert NEVER_BOUGHT not in bought
    target = int(model.trained_items[4])
    of = batch([[1, target]])
    users = model.users(model.tables(model.rows[of.items[0]])[None], of.counts)
    candidates = torch.nn.functional.normalize(model.tables(model.rows[model.trained_items]), dim=-1)
    expected = -(users @ candidates.T / 0.1).log_softmax(dim=1)[0, 4]
    assert model.full_softmax(of).item() == pytest.approx(expected.item(), rel=1e-5)


def test_synthetic_negatives_make_the_task_harder_and_are_drawn_by_the_batch(model: NextItemModel) -> None:
    plain = model.in_batch_contrastive(random_batch(8, seed=1)).item()
    first = model.in_batch_contrastive(random_batch(8, seed=1), redrawn_share=0.75).item()
    again = model.in_batch_contrastive(random_batch(8, seed=1), redrawn_share=0.75).item()
    of = random_batch(8, seed=1)
    other = model.in_batch_contrastive(Batch(of.items, of.counts, of.targets, seed=2), redrawn_share=0.75).item()
    assert plain < first == again != other


def test_drawn_items_are_negatives_and_are_drawn_by_the_batch(model: NextItemModel) -> None:
    of = random_batch(8, seed=1)
    plain = model.in_batch_contrastive(of).item()
    first, again = (model.in_batch_contrastive(of, drawn=20).item() for _ in range(2))
    other = model.in_batch_contrastive(Batch(of.items, of.counts, of.targets, seed=2), drawn=20).item()
    assert plain < first == again != other
    everything = model.in_batch_contrastive(of, drawn=10_000).item()
    assert everything == pytest.approx(model.in_batch_contrastive(of, drawn=20_000).item())  # each item once


def test_all_but_the_rows_is_shared(model: NextItemModel) -> None:
    shared = {id(parameter) for parameter in model.shared}
    assert [name for name, parameter in model.named_parameters() if id(parameter) not in shared] == ["tables.free"]


def test_rows_fade_where_they_are_beside_their_texts_and_not_where_they_are_all_there_is(model: NextItemModel) -> None:
    assert [parameter is model.tables.free for parameter in model.fading] == [True]
    alone = CodeEmbedding.common(model.shops[0].quantizer.layout, len(model.shops), WIDTH)
    assert NextItemModel(model.network, alone, model.shops, 0.1).fading == []


def test_a_synthetic_code_that_is_a_targets_own_is_no_negative() -> None:
    """With two codebooks of two centroids nearly every code that is drawn is that of an item."""
    torch.manual_seed(0)
    tiny = shop(0)
    layout = CodeLayout(2, 2)
    quantizer = Quantizer(layout, np.eye(TEXT_DIM, dtype=np.float32), np.zeros((2, 2, TEXT_DIM // 2), dtype=np.float32))
    codes = np.array([[item % 2, item // 2 % 2] for item in range(ITEMS)], dtype=np.uint8)
    network = UserTransformer(TransformerArchitecture(layers=1, heads=2, inner=8, dropout=0), WIDTH, 12)
    tables = CodeEmbedding.common(layout, 1, WIDTH)
    model = NextItemModel(network, tables, [Shop(tiny.dataset, tiny.split, quantizer, codes)], temperature=0.1)
    every_code = batch([[0, 1, 2, 3, 0]])
    plain = model.in_batch_contrastive(every_code).item()
    for seed in range(5):
        of = Batch(every_code.items, every_code.counts, every_code.targets, seed)
        assert model.in_batch_contrastive(of, redrawn_share=0.9).item() == pytest.approx(plain)


@pytest.mark.parametrize(("rows", "parts"), [(8, 2), (7, 3), (2, 3)])
def test_the_parts_of_a_batch_have_the_loss_and_the_gradients_of_the_whole(
    model: NextItemModel, rows: int, parts: int
) -> None:
    whole = random_batch(rows, seed=3)
    loss = model.in_batch_contrastive(whole, redrawn_share=0.75)
    loss.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    shares = [model.in_batch_contrastive(whole.part(part, parts), whole, 0.75) for part in range(parts)]
    for share in shares:
        share.backward()  # gradients add up, as they do over processes
    assert sum(share.item() for share in shares) == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)


def test_no_process_sees_fewer_negatives_than_one_alone(model: NextItemModel) -> None:
    whole = random_batch(8, seed=3)
    part = whole.part(0, 2)
    alone = model.in_batch_contrastive(part) * len(part.targets) / len(whole.targets)
    assert model.in_batch_contrastive(part, whole).item() > alone.item()
