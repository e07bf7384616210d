"""Damaged and hostile artifacts are refused with an error that names the fault, and nothing else happens."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adapter import POPULARITY_FILE, TENSORS_FILE
from models.backbone import BASE_QUANTIZER_FILE, BASE_TABLE_FILE, GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE
from models.bundle import MANIFEST, read_bundle
from models.errors import InvalidArtifactError, VqrecError
from models.manifest import BackboneManifest
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from models.text_encoder import TOKENIZER_FILE
from tests.hostile.adapters import ADAPTERS
from tests.hostile.damage import (
    Damage,
    Hostile,
    Tensors,
    change_tensors,
    copy_of,
    file_damages,
    one_tensor,
    said,
    vouch,
    vouching,
    without,
    wrong_arrays,
)
from tests.hostile.files import TENSOR_FILES
from tests.hostile.manifests import MANIFESTS
from tests.hostile.readers import READERS, assert_refused, untouched
from tests.tiny_models import TEXT_DIM


@pytest.mark.parametrize("kind", READERS)
def test_what_is_sound_is_read(sound: dict[str, Path], kind: str) -> None:
    READERS[kind](sound[kind])


def lacking(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: without(tensors, name)


def cases(kind: str, hostile: dict[str, Hostile]) -> list[Any]:
    return [pytest.param(kind, *case, id=f"{kind}: {name}") for name, case in hostile.items()]


def files_of(kind: str, *names: str) -> list[Any]:
    return [case for name in names for case in cases(kind, file_damages(name))]


def tensor_files(kind: str, *names: str) -> list[Any]:
    return [
        case
        for name in names
        for case in cases(
            kind,
            {
                f"{name}: {what}": Hostile(vouching(name, data), name.split(".")[0].split("-")[0])
                for what, data in TENSOR_FILES.items()
            },
        )
    ]


def arrays(kind: str, name: str, *tensors: str) -> list[Any]:
    hostile = {
        f"{name}: {tensor} {what}": Hostile(one_tensor(name, tensor, change), ".")
        for tensor in tensors
        for what, change in wrong_arrays().items()
        if (tensor, what) not in ALLOWED
    }
    missing = {
        f"{name}: {tensor} missing": Hostile(change_tensors(name, lacking(tensor)), ".")
        for tensor in tensors
        if (tensor, "missing") not in ALLOWED
    }
    return cases(kind, {**hostile, **missing})


# A backbone has marks for as many fingerprints as it likes.
ALLOWED = {("marks", "short"), ("marks", "long"), ("marks", "empty"), ("marks", "missing")}


def claims(kind: str, **values: tuple[object, ...]) -> list[Any]:
    hostile = {
        f"claims {key} {value!r:.40}": Hostile(said(**{key: value}), r"manifest\.json")
        for key, wrong in values.items()
        for value in wrong
    }
    return cases(kind, hostile)


FILES = [
    *claims(
        "backbone",
        architecture=("transformer", {"type": "oracle"}, {"type": "transformer", "layers": 1 << 40}),
        width=(0, -8, 1 << 40, "wide", [8]),
        max_history=(0, -1, 1 << 40, 10**30, float("nan")),
        similarity=("dot", None),
        temperature=(0, -1, float("nan"), float("inf"), "warm"),
        text_encoder=("0" * 63, "../" * 20, None),
        tables=("shared", "permuted", "round"),
        layout=({"num_codebooks": 4, "codebook_size": 8}, []),
    ),
    *claims("shared backbone", tables=("projected", "round"), layout=(None, {}, {"num_codebooks": 4})),
    *claims(
        "text encoder",
        name=(None, 1),
        pooling=("max", None),
        normalize=("maybe", None),
        max_tokens=(0, -1, 1 << 40, 1.5),
        text_dim=(0, 1 << 40),
    ),
    *cases("adapter", ADAPTERS),
    *cases("backbone", MANIFESTS),
    *cases("text encoder", MANIFESTS),
    *files_of("backbone", GRAPH_FILE, GOLDEN_FILE, PROJECTION_FILE),
    *files_of("shared backbone", BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
    *files_of("text encoder", TEXT_GRAPH_FILE, TOKENIZER_FILE),
    *tensor_files("backbone", GOLDEN_FILE, PROJECTION_FILE),
    *tensor_files("shared backbone", BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
    *arrays("backbone", PROJECTION_FILE, "weight", "bias", "marks"),
    *arrays("shared backbone", BASE_TABLE_FILE, "table"),
    *arrays("shared backbone", BASE_QUANTIZER_FILE, "rotation", "centroids"),
]


@pytest.mark.parametrize(("kind", "damage", "fault"), FILES)
def test_a_damaged_or_hostile_artifact_is_refused(
    sound: dict[str, Path], tmp_path: Path, kind: str, damage: Damage, fault: str
) -> None:
    assert_refused(kind, copy_of(sound[kind], tmp_path, damage), fault)


def golden(**change: Callable[[Any], Any]) -> Damage:
    return change_tensors(
        GOLDEN_FILE,
        lambda tensors: {name: change.get(name, lambda array: array)(array) for name, array in tensors.items()},
    )


@pytest.mark.parametrize("text_dim", [TEXT_DIM - 1, TEXT_DIM + 1, 1 << 20])
def test_a_text_encoder_of_another_width_is_refused(sound: dict[str, Path], tmp_path: Path, text_dim: int) -> None:
    assert_refused(
        "text encoder", copy_of(sound["text encoder"], tmp_path, said(text_dim=text_dim)), f"{text_dim} finite"
    )


GOLDEN = {
    **{f"without {name}": change_tensors(GOLDEN_FILE, lacking(name)) for name in ("vectors", "lengths", "users")},
    "with more": change_tensors(GOLDEN_FILE, lambda tensors: {**tensors, "more": tensors["users"]}),
    "with no rows": golden(vectors=lambda a: a[:0], lengths=lambda a: a[:0], users=lambda a: a[:0]),
    "with users to spare": golden(users=lambda a: np.concatenate([a, a])),
    "with users too narrow": golden(users=lambda a: a[:, :-1]),
    "with users that are others": golden(users=lambda a: a[::-1]),
    "with users that are NaN": golden(users=lambda a: np.full_like(a, np.nan)),
    "with users that are infinite": golden(users=lambda a: np.full_like(a, np.inf)),
    "with vectors that are NaN": golden(vectors=lambda a: np.full_like(a, np.nan)),
    "with vectors that are huge": golden(vectors=lambda a: np.full_like(a, 3e38)),
    "with vectors too narrow": golden(vectors=lambda a: a[..., :-1]),
    "with vectors that are a number": golden(vectors=lambda _: np.float32(1)),
    "with vectors that are complex": golden(vectors=lambda a: a * np.complex64(1j)),
    "with too few lengths": golden(lengths=lambda a: a[:1]),
    "with lengths of nothing": golden(lengths=lambda a: a * 0),
    "with negative lengths": golden(lengths=lambda a: -a),
    "with half lengths": golden(lengths=lambda a: a + 0.5),
    "with lengths in rows": golden(lengths=lambda a: np.stack([a, a], axis=1)),
    "with lengths that are a number": golden(lengths=lambda _: np.int64(1)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_backbone_whose_proof_is_none_is_refused(sound: dict[str, Path], tmp_path: Path, name: str) -> None:
    assert_refused("backbone", copy_of(sound["backbone"], tmp_path, GOLDEN[name]), "golden|cannot be run")


@pytest.mark.parametrize(
    ("kind", "other"),
    [(kind, other) for kind in READERS for other in READERS if kind.split()[-1] != other.split()[-1]],
)
def test_an_artifact_of_another_kind_is_refused(sound: dict[str, Path], kind: str, other: str) -> None:
    assert_refused(kind, sound[other], "is of the kind")


def test_files_that_changed_places_are_refused(sound: dict[str, Path], tmp_path: Path) -> None:
    """Each vouched for under the other's name."""
    for number, (kind, first, second) in enumerate(
        (
            ("adapter", TENSORS_FILE, POPULARITY_FILE),
            ("backbone", GRAPH_FILE, GOLDEN_FILE),
            ("backbone", GOLDEN_FILE, PROJECTION_FILE),
            ("shared backbone", BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
            ("text encoder", TEXT_GRAPH_FILE, TOKENIZER_FILE),
        )
    ):
        path = copy_of(sound[kind], tmp_path / str(number), untouched)
        data = {first: (path / second).read_bytes(), second: (path / first).read_bytes()}
        for name, content in data.items():
            vouch(path, name, content)
        assert_refused(kind, path, ".")


@pytest.mark.parametrize("change", ["changed", "lost", "replaced by a pipe", "grown"])
def test_a_file_that_changes_after_it_was_verified_is_refused(
    sound: dict[str, Path], tmp_path: Path, change: str
) -> None:
    path = copy_of(sound["backbone"], tmp_path, untouched)
    bundle = read_bundle(path, BackboneManifest)
    name = {"changed": "last byte flipped", "lost": "lost", "replaced by a pipe": "a pipe", "grown": "longer"}[change]
    file_damages(GRAPH_FILE)[f"{GRAPH_FILE} {name}"].damage(path)
    with pytest.raises(InvalidArtifactError, match=GRAPH_FILE):
        bundle.read_bytes(GRAPH_FILE)


FUZZED = {
    "adapter": (TENSORS_FILE, POPULARITY_FILE),
    "backbone": (GRAPH_FILE, GOLDEN_FILE, PROJECTION_FILE),
    "shared backbone": (BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
    "text encoder": (TEXT_GRAPH_FILE, TOKENIZER_FILE),
}

Mutation = tuple[str, float, bytes]

MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "cut", "zero", "swap"]),
        st.one_of(st.floats(0, 1), st.floats(0, 0.02)),  # where the headers are
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    found = bytearray(data)
    for kind, where, raw in mutations:
        place = int(where * max(0, len(found) - 1))
        there = found[place : place + len(raw)]
        if kind == "insert":
            there += raw
        elif kind == "cut":
            there = bytearray()
        elif kind == "set":
            there = bytearray(raw)
        elif kind == "zero":
            there = bytearray(len(there))
        elif kind == "swap":
            there.reverse()
        else:
            there = bytearray(old ^ new for old, new in zip(there, raw, strict=False))
        found[place : place + len(raw)] = there
    return bytes(found)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in FUZZED.items() for name in (*names, MANIFEST)]
)
@settings(max_examples=60, derandomize=True)
@given(mutations=MUTATIONS)
def test_a_file_of_mutated_bytes_is_refused_or_sound_all_the_same(
    sound: dict[str, Path], kind: str, name: str, mutations: list[Mutation]
) -> None:
    """A manifest vouches for what was mutated, so that only its content speaks against it."""

    def damage(path: Path) -> None:
        data = mutated((path / name).read_bytes(), mutations)
        if name == MANIFEST:
            (path / name).write_bytes(data)
        else:
            vouch(path, name, data)

    with tempfile.TemporaryDirectory() as folder:
        path = copy_of(sound[kind], Path(folder), damage)
        try:
            READERS[kind](path)
        except VqrecError as error:
            assert 10 < len(error.detail) < 1500
            error.detail.encode()
