"""Text vectors through the cache: each text is encoded once, and what was encoded survives an interruption."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.text_encoder import TextEncoder
from tests.tiny_models import TEXT_DIM, TinyStore, write_tiny_store
from training.text_vectors import encode_texts


class CountingEncoder(TextEncoder):
    """A real encoder that notes what it encodes, and can be interrupted after so many calls."""

    @classmethod
    def of(cls, tiny: TinyStore, calls: int = 1000) -> "CountingEncoder":
        encoder = tiny.load_text_encoder()
        counting = cls(encoder.bundle, encoder.session, encoder.tokenizer, threads=1)
        object.__setattr__(counting, "encoded", [])
        object.__setattr__(counting, "calls", calls)
        return counting

    encoded: list[str]
    calls: int

    def encode(
        self, texts: Sequence[str], on_progress: Callable[[int], object] | None = None
    ) -> npt.NDArray[np.float16]:
        if self.calls == 0:
            raise KeyboardInterrupt
        object.__setattr__(self, "calls", self.calls - 1)
        self.encoded.extend(texts)
        return super().encode(texts, on_progress)


def texts(count: int) -> list[str]:
    return [f"item number {number}{' and more' * (number % 9)}" for number in range(count)]


def test_vectors_are_the_encoders_own_in_the_order_of_the_texts(tiny: TinyStore, tmp_path: Path) -> None:
    wanted = [*texts(700), "item number 3", *texts(5)]
    vectors = encode_texts(wanted, tiny.load_text_encoder(), tmp_path / "cache")
    assert vectors.dtype == np.float16
    assert vectors.tobytes() == tiny.load_text_encoder().encode(wanted).tobytes()


def test_a_text_is_encoded_once(tiny: TinyStore, tmp_path: Path) -> None:
    encoder = CountingEncoder.of(tiny)
    first = encode_texts([*texts(600), *texts(600)], encoder, tmp_path)
    assert sorted(encoder.encoded) == sorted(texts(600))
    again = encode_texts(texts(600)[::-1], encoder, tmp_path)
    assert len(encoder.encoded) == 600
    assert again.tobytes() == first[:600][::-1].tobytes()
    encode_texts([*texts(600), "a new one"], encoder, tmp_path)
    assert encoder.encoded[600:] == ["a new one"]


def test_an_interrupted_run_goes_on_where_it_was(tiny: TinyStore, tmp_path: Path) -> None:
    interrupted, resumed = CountingEncoder.of(tiny, calls=2), CountingEncoder.of(tiny)
    with pytest.raises(KeyboardInterrupt):
        encode_texts(texts(3000), interrupted, tmp_path)
    assert 0 < len(interrupted.encoded) < 3000
    vectors = encode_texts(texts(3000), resumed, tmp_path)
    assert sorted(interrupted.encoded + resumed.encoded) == sorted(texts(3000))
    assert vectors.tobytes() == tiny.load_text_encoder().encode(texts(3000)).tobytes()


def test_another_encoder_has_a_cache_of_its_own(tiny: TinyStore, tmp_path: Path) -> None:
    other = write_tiny_store(tmp_path / "other", seed=5)
    for store in (tiny, other, tiny):
        vectors = encode_texts(texts(5), store.load_text_encoder(), tmp_path / "cache")
        assert vectors.tobytes() == store.load_text_encoder().encode(texts(5)).tobytes()


def test_no_texts_need_no_encoder(tiny: TinyStore, tmp_path: Path) -> None:
    assert encode_texts([], CountingEncoder.of(tiny, calls=0), tmp_path).shape == (0, TEXT_DIM)
