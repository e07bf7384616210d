"""Text vectors that a service has made already."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.store import ArtifactStore
from tests.training.small_shop import CONFIG, TEXT_DIM, Pretrained
from training.dataset import Items
from training.known_vectors import keep_served_vectors
from training.redis_source import ServedCatalogue
from training.starting_point import StartingPoint
from training.text_vectors import encode_texts

pytestmark = pytest.mark.training

ITEMS = Items(("a", "b", "c"), ["tent", "rope", "lamp"], [{}, {}, {}])
MARKED = np.full(TEXT_DIM, 7, dtype="<f2").tobytes()
"""A vector that no text of these has: where it is found, it was not encoded."""


@pytest.fixture
def start(pretrained: Pretrained, tmp_path: Path) -> StartingPoint:
    return StartingPoint.open(pretrained.backbone.path, ArtifactStore(tmp_path), CONFIG)


def test_a_vector_of_the_same_text_encoder_is_taken_and_the_rest_encoded(start: StartingPoint, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    not_finite = np.full(TEXT_DIM, np.inf, dtype="<f2").tobytes()
    catalogue = ServedCatalogue(ITEMS, [MARKED, not_finite, MARKED[:-2]], start.backbone.sha256)
    assert keep_served_vectors(catalogue, start, store) == 1
    vectors = encode_texts(ITEMS.texts, start.encoder, store.cache)
    assert vectors[0].tobytes() == MARKED
    np.testing.assert_array_equal(vectors[1:], start.encoder.encode(ITEMS.texts[1:]))


@pytest.mark.parametrize("bound_to", [None, "0" * 64])
def test_vectors_of_a_backbone_that_is_not_known_are_made_anew(
    start: StartingPoint, tmp_path: Path, bound_to: str | None
) -> None:
    store = ArtifactStore(tmp_path)
    assert keep_served_vectors(ServedCatalogue(ITEMS, [MARKED] * 3, bound_to), start, store) == 0
    vectors = encode_texts(ITEMS.texts, start.encoder, store.cache)
    np.testing.assert_array_equal(vectors, start.encoder.encode(ITEMS.texts))


def test_another_backbone_of_the_store_counts_by_its_text_encoder(start: StartingPoint, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    catalogue = ServedCatalogue(ITEMS, [MARKED] * 3, start.backbone.sha256)
    same = replace(start, backbone=replace(start.backbone, sha256="f" * 64))
    assert keep_served_vectors(catalogue, same, store) == 3
    manifest = start.backbone.manifest.model_copy(update={"text_encoder": "e" * 64})
    other = replace(start, backbone=replace(start.backbone, sha256="f" * 64, manifest=manifest))
    assert keep_served_vectors(catalogue, other, store) == 0
