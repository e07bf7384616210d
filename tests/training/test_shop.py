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
from training.histories import Histories
from training.shop import NewQuantizer, Shop, open_shop

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
