"""Artifacts on disk: what is read is what was written, or it is refused."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from models.bundle import MANIFEST, Bundle, copy_bundle, opened, read_bundle, write_bundle
from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError
from models.manifest import AdapterManifest, BackboneManifest, TextEncoderManifest

BIG, SMALL = "big.bin", "small.json"
FILES = {BIG: bytes(range(256)) * 5000, SMALL: b"{}"}


def manifest() -> TextEncoderManifest:
    return TextEncoderManifest(name="any", pooling="cls", normalize=True, max_tokens=8, text_dim=4)


@pytest.fixture
def written(tmp_path: Path) -> Bundle[TextEncoderManifest]:
    return write_bundle(tmp_path / "store", manifest(), FILES)


def read(bundle: Bundle[TextEncoderManifest]) -> Bundle[TextEncoderManifest]:
    return read_bundle(bundle.path, TextEncoderManifest, bundle.sha256)


def rewrite_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((path / MANIFEST).read_text())
    change(document)
    (path / MANIFEST).write_text(json.dumps(document))


def test_what_is_read_is_what_was_written(written: Bundle[TextEncoderManifest]) -> None:
    bundle = read(written)
    assert bundle == written
    assert {name: bundle.read_bytes(name) for name in bundle.manifest.files} == FILES
    assert bundle.manifest.model_copy(update={"files": {}}) == manifest()


def test_the_version_is_the_start_of_the_manifests_sha256(written: Bundle[TextEncoderManifest]) -> None:
    assert written.sha256 == hashlib.sha256((written.path / MANIFEST).read_bytes()).hexdigest()
    assert written.path.name == written.version == written.sha256[:12]


def test_the_same_content_has_the_same_version_and_another_byte_another(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a", manifest(), FILES)
    again = write_bundle(tmp_path / "b", manifest(), dict(reversed(FILES.items())))
    other = write_bundle(tmp_path / "b", manifest(), {**FILES, SMALL: b"{ }"})
    assert first.sha256 == again.sha256 != other.sha256


def flip_a_byte(path: Path) -> None:
    data = bytearray((path / BIG).read_bytes())
    data[-1] ^= 1
    (path / BIG).write_bytes(data)


def truncate(path: Path) -> None:
    (path / BIG).write_bytes((path / BIG).read_bytes()[:-1])


def lose_a_file(path: Path) -> None:
    (path / SMALL).unlink()


def add_a_file(path: Path) -> None:
    (path / "surplus.bin").write_bytes(b"")


def add_a_folder(path: Path) -> None:
    (path / "surplus").mkdir()


def make_a_link(path: Path) -> None:
    (path / BIG).rename(path.parent / BIG)
    (path / BIG).symlink_to(path.parent / BIG)


def make_a_folder_of_a_file(path: Path) -> None:
    (path / SMALL).unlink()
    (path / SMALL).mkdir()


def lose_the_manifest(path: Path) -> None:
    (path / MANIFEST).unlink()


def link_the_manifest(path: Path) -> None:
    (path / MANIFEST).rename(path.parent / MANIFEST)
    (path / MANIFEST).symlink_to(path.parent / MANIFEST)


def swell_the_manifest(path: Path) -> None:
    (path / MANIFEST).write_bytes((path / MANIFEST).read_bytes() + b" " * (1 << 20))


def break_the_manifest(path: Path) -> None:
    (path / MANIFEST).write_bytes((path / MANIFEST).read_bytes()[:-20])


DAMAGES = [
    flip_a_byte,
    truncate,
    lose_a_file,
    add_a_file,
    add_a_folder,
    make_a_link,
    make_a_folder_of_a_file,
    lose_the_manifest,
    link_the_manifest,
    swell_the_manifest,
    break_the_manifest,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_kind_of_damage_is_refused(
    written: Bundle[TextEncoderManifest], damage: Callable[[Path], object]
) -> None:
    damage(written.path)
    with pytest.raises(InvalidArtifactError):
        read_bundle(written.path, TextEncoderManifest)


@pytest.mark.parametrize("damage", DAMAGES)
def test_writing_again_heals_what_was_damaged(
    written: Bundle[TextEncoderManifest], damage: Callable[[Path], object]
) -> None:
    damage(written.path)
    write_bundle(written.path.parent, manifest(), FILES)
    assert read(written) == written


@pytest.mark.parametrize("damage", DAMAGES)
def test_copying_again_heals_what_was_damaged(
    tmp_path: Path, written: Bundle[TextEncoderManifest], damage: Callable[[Path], object]
) -> None:
    copy = copy_bundle(written.path, tmp_path / "other")
    damage(copy)
    assert copy_bundle(written.path, tmp_path / "other") == copy
    assert read_bundle(copy, TextEncoderManifest, written.sha256).manifest == written.manifest


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(colour="red"),
        lambda document: document.update(format_version=2),
        lambda document: document.update(kind="cake"),
        lambda document: document.pop("kind"),
        lambda document: document.pop("text_dim"),
        lambda document: document.update(text_dim=0),
        lambda document: document.update(text_dim="wide"),
        lambda document: document["files"][BIG].update(mode="rw"),
        lambda document: document["files"][BIG].update(sha256="0" * 63),
        lambda document: document["files"].update({"../outside": document["files"][BIG]}),
        lambda document: document["files"].update({".hidden": document["files"][BIG]}),
        lambda document: document["files"].update({"a/b": document["files"][BIG]}),
        lambda document: document["files"].update({f"more-{n}": document["files"][BIG] for n in range(16)}),
    ],
)
def test_a_manifest_that_says_what_it_may_not_is_refused(
    written: Bundle[TextEncoderManifest], change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite_manifest(written.path, change)
    with pytest.raises(InvalidArtifactError, match=r"manifest\.json"):
        read_bundle(written.path, TextEncoderManifest)


def test_an_artifact_of_another_kind_is_refused(written: Bundle[TextEncoderManifest]) -> None:
    with pytest.raises(ArtifactMismatchError, match="text-encoder, not backbone"):
        read_bundle(written.path, BackboneManifest)
    with pytest.raises(ArtifactMismatchError, match="not adapter"):
        read_bundle(written.path, AdapterManifest)


def test_another_sha256_is_refused(written: Bundle[TextEncoderManifest]) -> None:
    with pytest.raises(ArtifactMismatchError):
        read_bundle(written.path, TextEncoderManifest, "0" * 64)


def test_no_artifact_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError):
        read_bundle(tmp_path / "nothing", TextEncoderManifest)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        write_bundle(tmp_path, manifest(), {"a.bin": b"a", "missing/folder.bin": b"b"})
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_a_whole_artifact_or_none(tmp_path: Path) -> None:
    done = threading.Event()

    def write_many() -> None:
        for number in range(30):
            write_bundle(tmp_path, manifest().model_copy(update={"name": str(number)}), FILES)
        done.set()

    def read_all() -> int:
        paths = list(tmp_path.glob("[!.]*"))
        for path in paths:
            read_bundle(path, TextEncoderManifest)
        return len(paths)

    writer = threading.Thread(target=write_many)
    writer.start()
    while not done.is_set():
        read_all()
    writer.join()
    assert read_all() == 30
    assert len(list(tmp_path.iterdir())) == 30


def test_writers_of_the_same_artifact_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def write(number: int) -> Bundle[TextEncoderManifest]:
        together.wait()
        return write_bundle(tmp_path, manifest().model_copy(update={"name": str(number)}), {SMALL: b"{}"})

    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            bundles = list(pool.map(write, [number] * 8))
            assert [read(bundle) for bundle in bundles] == bundles
    assert len(list(tmp_path.iterdir())) == 40


def test_a_copy_is_the_same_artifact_and_copying_onto_itself_changes_nothing(
    tmp_path: Path, written: Bundle[TextEncoderManifest]
) -> None:
    copy = copy_bundle(written.path, tmp_path / "other")
    assert copy == tmp_path / "other" / written.version
    assert read_bundle(copy, TextEncoderManifest, written.sha256).manifest == written.manifest
    assert copy_bundle(copy, tmp_path / "other") == copy
    assert read_bundle(copy, TextEncoderManifest).sha256 == written.sha256
    assert [entry.name for entry in (tmp_path / "other").iterdir()] == [written.version]


def test_tensors_come_back_and_what_are_none_is_refused(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    bundle = write_bundle(tmp_path, manifest(), {"good.safetensors": save_safetensors(tensors), "bad": b"\xff" * 40})
    assert bundle.read_tensors("good.safetensors")["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(InvalidArtifactError):
        bundle.read_tensors("bad")


def test_a_file_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("folder")
    with opened(tmp_path / "folder" / "file", "there is none") as file:
        assert file.read() == b"content"
    with (
        pytest.raises(InvalidArtifactError, match="there is none"),
        opened(tmp_path / "link" / "file", "there is none"),
    ):
        pass


def test_what_is_refused_leaves_nothing_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in (".", "pipe", "nothing", "nothing/inside"):
        with pytest.raises(InvalidArtifactError), opened(tmp_path / name, "there is none"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
