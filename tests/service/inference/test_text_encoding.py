import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from service.errors import OverloadedError, StoppingError
from service.inference.batcher import BatcherConfig
from service.inference.text_encoding import TextEncoding
from service.metrics import Metrics
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

TEXTS = [f"article number {number} " + "x" * (number % 5) for number in range(20)]


@pytest.fixture
async def encoding(tiny: TinyStore) -> AsyncIterator[TextEncoding]:
    encoding = TextEncoding(tiny.load_text_encoder(), Metrics(), BatcherConfig(largest_batch=8, queue_size=16))
    yield encoding
    await encoding.stop()


async def test_texts_get_the_vectors_that_the_encoder_gives_them_alone(encoding: TextEncoding, tiny: TinyStore) -> None:
    encoder = tiny.load_text_encoder()
    together, *single = await asyncio.gather(encoding.encode(TEXTS), *(encoding.encode([text]) for text in TEXTS[:8]))
    assert together.dtype == np.float16
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))
    np.testing.assert_array_equal(np.concatenate(single), together[:8])


async def test_no_text_is_no_vector(encoding: TextEncoding, tiny: TinyStore) -> None:
    assert (await encoding.encode([])).shape == (0, tiny.load_text_encoder().text_dim)


async def test_more_texts_than_the_queue_holds_are_encoded(encoding: TextEncoding) -> None:
    assert len(await encoding.encode(TEXTS * 3)) == 60


async def test_a_full_queue_refuses(encoding: TextEncoding) -> None:
    results = await asyncio.gather(*(encoding.encode(TEXTS[:8]) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [np.ndarray, np.ndarray, OverloadedError]


async def test_one_that_was_stopped_refuses(encoding: TextEncoding) -> None:
    await encoding.stop()
    with pytest.raises(StoppingError):
        await encoding.encode(["text"])
