"""A shop made ready for training: what the quantiser may see, and what counts as popular."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.codes import CodeLayout
from models.store import ArtifactStore
from tests.tiny_models import TinyStore
from training.dataset import Dataset, Items
from training.errors import DataError
from training.histories import Histories, split_leave_one_out
from training.shop import NewQuantizer, Shop, UncodedShop, open_shop, read_shop, train_quantizers

USERS, TRAINED, ITEMS = 60, 50, 60
LAYOUT = CodeLayout(4, 4)


def dataset() -> Dataset:
    """Items 50 to 54 are bought by nobody but as validation targets, 55 to 59 as test targets."""
    rng = np.random.default_rng(0)
    histories = [[*rng.integers(TRAINED, size=3), 50 + user % 5, 55 + user % 5] for user in range(USERS)]
    items = Items(
        tuple(f"i{item:02d}" for item in range(ITEMS)), [f"thing no {item * 7}" for item in range(ITEMS)], [{}] * ITEMS
    )
    return Dataset(
        items,
        Histories(
            tuple(f"u{user:02d}" for user in range(USERS)),
            np.array(histories, dtype=np.int32).ravel(),
            np.arange(USERS + 1, dtype=np.int64) * 5,
        ),
    )


def opened(tiny: TinyStore, root: Path, data: Dataset, layout: CodeLayout = LAYOUT, seed: int = 0) -> Shop:
    return open_shop(data, tiny.load_text_encoder(), ArtifactStore(root), NewQuantizer(layout, seed))


def with_text(data: Dataset, item: int, text: str) -> Dataset:
    texts = [*data.texts[:item], text, *data.texts[item + 1 :]]
    return replace(data, items=replace(data.items, texts=texts))


def test_the_quantiser_sees_the_items_of_the_training_split_alone(tiny: TinyStore, tmp_path: Path) -> None:
    shop = opened(tiny, tmp_path, dataset())
    assert shop.trained_items.max() < TRAINED
    for unseen in (50, 59):
        changed = opened(tiny, tmp_path, with_text(dataset(), unseen, "quite another text"))
        assert changed.quantizer.sha256 == shop.quantizer.sha256
        assert (np.delete(changed.codes, unseen, axis=0) == np.delete(shop.codes, unseen, axis=0)).all()
    seen = int(shop.trained_items[0])
    assert opened(tiny, tmp_path, with_text(dataset(), seen, "another")).quantizer.sha256 != shop.quantizer.sha256


def test_histories_that_hold_a_single_item_are_refused(tiny: TinyStore, tmp_path: Path) -> None:
    histories = replace(dataset().histories, items=np.zeros(USERS * 5, dtype=np.int32))
    with pytest.raises(DataError, match="one item"):
        opened(tiny, tmp_path, replace(dataset(), histories=histories))


def test_every_item_has_the_code_that_its_text_gets_alone(tiny: TinyStore, tmp_path: Path) -> None:
    shop, encoder = opened(tiny, tmp_path, dataset()), tiny.load_text_encoder()
    for text, code in zip(dataset().texts, shop.codes, strict=True):
        assert shop.quantizer.encode(encoder.encode([text])).tobytes() == code.tobytes()


def test_popularity_counts_training_alone(tiny: TinyStore, tmp_path: Path) -> None:
    shop = opened(tiny, tmp_path, dataset())
    bought = [item for history in dataset().histories for item in history[:-2].tolist()]
    assert shop.popularity == {f"i{item:02d}": bought.count(item) for item in set(bought)}
    assert shop.training_counts.tolist() == [bought.count(item) for item in range(ITEMS)]


def test_the_layout_fits_the_items_and_that_is_said(
    tiny: TinyStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = opened(tiny, tmp_path, dataset(), CodeLayout(4, 256))
    assert shop.quantizer.layout == CodeLayout.fitting(len(shop.trained_items), CodeLayout(4, 256)) == CodeLayout(4, 4)
    captured = capsys.readouterr()
    assert "cannot fill 256 centroids a codebook: using 4 x 4" in captured.err
    assert "item codes: 60 items" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("length", [1, 2, 3])
def test_histories_too_short_to_train_and_validate_on_are_refused(tiny: TinyStore, tmp_path: Path, length: int) -> None:
    histories = Histories(("u", "v"), np.arange(2 * length, dtype=np.int32), np.arange(3, dtype=np.int64) * length)
    with pytest.raises(DataError):
        opened(tiny, tmp_path, replace(dataset(), histories=histories))


def uncoded(items: int, seed: int) -> UncodedShop:
    """A shop whose items are all bought in training, and its random text vectors."""
    histories = Histories(
        tuple(f"u{user:04d}" for user in range(items)),
        np.concatenate([[item, item, 0, 0] for item in range(items)]).astype(np.int32),
        np.arange(items + 1, dtype=np.int64) * 4,
    )
    ids = tuple(f"i{item:05d}" for item in range(items))
    vectors = np.random.default_rng(seed).standard_normal((items, 16)).astype(np.float16)
    return UncodedShop(
        Dataset(Items(ids, [""] * items, [{}] * items), histories), split_leave_one_out(histories), vectors
    )


def test_each_shop_has_a_quantiser_of_its_own_that_fits_it() -> None:
    large, small = uncoded(600, 0), uncoded(100, 1)
    first, second = train_quantizers([large, small], NewQuantizer(CodeLayout(4, 64), 0), "projected")
    assert (first.layout, second.layout) == (CodeLayout(4, 64), CodeLayout(4, 8))
    alone = train_quantizers([small], NewQuantizer(CodeLayout(4, 64), 0), "projected")[0]
    assert second.sha256 == alone.sha256


def test_permuted_tables_ask_for_one_layout_that_the_smallest_shop_fills() -> None:
    quantizers = train_quantizers([uncoded(600, 0), uncoded(100, 1)], NewQuantizer(CodeLayout(4, 64), 0), "permuted")
    assert {quantizer.layout for quantizer in quantizers} == {CodeLayout(4, 8)}
    assert len({quantizer.sha256 for quantizer in quantizers}) == 2


def test_a_shared_quantiser_learns_from_every_shop_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large shop lies far from the small one, which has a third of the bounded sample nonetheless."""
    monkeypatch.setattr("training.shop._SHARED_SAMPLE", 300)
    large, small = uncoded(2000, 0), uncoded(100, 1)
    far = replace(large, text_vectors=large.text_vectors + np.float16(50))
    first, second = train_quantizers([far, small], NewQuantizer(CodeLayout(2, 32), 0), "shared")
    assert first.sha256 == second.sha256
    codes = {"far": first.encode(far.text_vectors), "small": first.encode(small.text_vectors)}
    used = {name: len(np.unique(of_shop[:, 0])) for name, of_shop in codes.items()}
    assert used["small"] >= 6
    assert used["far"] >= 12
    assert not set(codes["far"][:, 0]) & set(codes["small"][:, 0])


def test_a_shared_quantiser_sees_training_items_alone(tiny: TinyStore, tmp_path: Path) -> None:
    def sha256(data: Dataset) -> str:
        shops = [read_shop(data, tiny.load_text_encoder(), ArtifactStore(tmp_path))]
        return train_quantizers(shops, NewQuantizer(LAYOUT, 0), "shared")[0].sha256

    seen = int(np.unique(split_leave_one_out(dataset().histories).train.items)[0])
    assert sha256(with_text(dataset(), 55, "quite another text")) == sha256(dataset())
    assert sha256(with_text(dataset(), seen, "another")) != sha256(dataset())
