"""Damaged and hostile artifacts are refused with an error that names the fault, and nothing else happens."""

import gc
import tempfile
from pathlib import Path

import onnx
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
from tests.hostile.artifacts import HOSTILE
from tests.hostile.damage import copy_of, digest_of, file_damages, vouch, vouching
from tests.hostile.graphs import refer_elsewhere
from tests.hostile.readers import READERS, assert_refused, untouched


@pytest.mark.parametrize("kind", READERS)
def test_what_is_sound_is_read(sound: dict[str, Path], kind: str) -> None:
    READERS[kind](sound[kind])


def test_every_damaged_or_hostile_artifact_is_refused_by_the_name_of_its_fault(
    sound: dict[str, Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    told, before = dict[str, str](), open_files()
    for kind, cases in HOSTILE.items():
        for name, (damage, fault) in cases.items():
            with subtests.test(f"{kind}: {name}"), tempfile.TemporaryDirectory(dir=tmp_path) as folder:
                path = copy_of(sound[kind], Path(folder), damage)
                digest = digest_of(path)
                told[digest] = assert_refused(kind, path, fault)
    print(f"{len(told)} different damaged or hostile artifacts were refused, with {len(set(told.values()))} messages")
    assert len(told) >= 1000
    gc.collect()
    assert open_files() == before, "something of what was refused is still held"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_graph_cannot_read_another_file(sound: dict[str, Path], tmp_path: Path) -> None:
    """Even one that is there and has just the right size."""
    graph = onnx.load_from_string((sound["backbone"] / GRAPH_FILE).read_bytes())
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == "weight")
    (tmp_path / "weights").write_bytes(weight.raw_data)
    refer_elsewhere(weight, str(tmp_path / "weights"))
    damage = vouching(GRAPH_FILE, graph.SerializeToString())
    assert_refused("backbone", copy_of(sound["backbone"], tmp_path, damage), "data in another file")


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
        assert_refused(kind, path, "safetensors|ONNX graph|tokenizer")


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
