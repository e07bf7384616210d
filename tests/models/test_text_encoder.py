"""Text ─► vectors: the same for a text alone and among others."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import write_bundle
from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.text_encoder import GRAPH_FILE, TOKENIZER_FILE, TextEncoder, batch_size
from tests.tiny_models import TEXT_DIM, TinyStore


@pytest.fixture(scope="module")
def encoder(tiny: TinyStore) -> TextEncoder:
    return tiny.load_text_encoder()


@given(texts=st.lists(st.text(max_size=200), min_size=1, max_size=150), chosen=st.integers(0))
def test_a_text_has_the_same_vector_alone_and_in_any_company(
    encoder: TextEncoder, texts: list[str], chosen: int
) -> None:
    together = encoder.encode(texts)
    assert together.shape == (len(texts), TEXT_DIM)
    assert together.dtype == np.float16
    place = chosen % len(texts)
    assert encoder.encode([texts[place]]).tobytes() == together[place].tobytes()
    assert encoder.encode(texts[::-1]).tobytes() == together[::-1].tobytes()


def test_vectors_come_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = [f"{'a long ' * (number % 5)}drill {number}" for number in range(300)]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert together.tobytes() == alone.tobytes()
    assert len(np.unique(together, axis=0)) == len(texts)


def test_several_threads_give_the_same_vectors_in_the_same_order(tiny: TinyStore, encoder: TextEncoder) -> None:
    texts = [f"{'a long ' * (number % 5)}drill {number}" for number in range(300)]
    assert (
        TextEncoder.load(tiny.text_encoder.path, threads=3).encode(texts).tobytes() == encoder.encode(texts).tobytes()
    )


def test_a_batch_of_long_texts_is_smaller_and_never_empty() -> None:
    sizes = [batch_size(length) for length in (2, 46, 512, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert sizes[1] * 46 <= 512


def test_a_text_too_long_counts_by_its_first_tokens(encoder: TextEncoder, tiny: TinyStore) -> None:
    start = "ab" * (tiny.text_encoder.manifest.max_tokens - 1)  # and [CLS]
    exact, longer, shorter = encoder.encode([start, start + "cd" * 50_000, start[:-2]])
    assert exact.tobytes() == longer.tobytes() != shorter.tobytes()


def test_progress_counts_every_text_once(encoder: TextEncoder) -> None:
    done: list[int] = []
    encoder.encode(["x" * (number % 7) for number in range(200)], done.append)
    assert sum(done) == 200
    assert max(done) <= 64


def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, TEXT_DIM)


@pytest.mark.parametrize("damaged", [GRAPH_FILE, TOKENIZER_FILE])
def test_files_that_are_neither_graph_nor_tokenizer_are_refused(tiny: TinyStore, tmp_path: Path, damaged: str) -> None:
    files = {name: tiny.text_encoder.read_bytes(name) for name in (GRAPH_FILE, TOKENIZER_FILE)}
    bundle = write_bundle(tmp_path, tiny.text_encoder.manifest, {**files, damaged: b"\xff\x00"})
    with pytest.raises(InvalidArtifactError):
        TextEncoder.load(bundle.path, threads=1)


def test_an_artifact_of_another_kind_is_refused(tiny: TinyStore) -> None:
    with pytest.raises(ArtifactMismatchError):
        TextEncoder.load(tiny.backbone.path, threads=1)
