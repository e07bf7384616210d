"""The folder of artifacts: what is found in it, and that nothing leads out of it."""

from pathlib import Path

import pytest

from models.bundle import read_bundle
from models.errors import ArtifactNotFoundError, InvalidArtifactError
from models.manifest import BackboneManifest
from models.store import ArtifactStore, store_of
from tests.tiny_models import TinyStore, write_tiny_store


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A store with one folder in it, and one beside it that a source must not reach."""
    (tmp_path / "root" / "adapters" / "shop" / "v1").mkdir(parents=True)
    (tmp_path / "root-of-another" / "v1").mkdir(parents=True)
    (tmp_path / "root" / "file.txt").write_text("no folder")
    return ArtifactStore(tmp_path / "root")


def test_a_relative_and_an_absolute_source_name_the_same_folder(store: ArtifactStore) -> None:
    folder = store.root / "adapters" / "shop" / "v1"
    assert store.resolve("adapters/shop/v1") == folder
    assert store.resolve("adapters/other/../shop/./v1") == folder
    assert store.resolve(str(folder)) == folder


@pytest.mark.parametrize(
    "source",
    [
        "..",
        "../root-of-another/v1",
        "adapters/../../root-of-another/v1",
        "{outside}/v1",
        "/etc",
        "/",
        "",
        ".",
        "adapters/..",
        "{root}",
        "adapters/shop\0/v1",
        "\0",
    ],
)
def test_a_source_that_leads_out_is_refused(store: ArtifactStore, source: str) -> None:
    filled = source.format(outside=store.root.parent / "root-of-another", root=store.root)
    with pytest.raises(InvalidArtifactError):
        store.resolve(filled)


def test_a_link_out_is_refused_and_one_that_stays_is_followed(store: ArtifactStore) -> None:
    (store.root / "out").symlink_to(store.root.parent / "root-of-another")
    (store.root / "round").symlink_to(store.root / "round")
    (store.root / "stays").symlink_to(store.root / "adapters")
    for source in ("out", "out/v1", "round"):
        with pytest.raises(InvalidArtifactError):
            store.resolve(source)
    assert store.resolve("stays/shop/v1") == store.root / "adapters" / "shop" / "v1"


def test_a_store_behind_a_link_is_a_store(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    linked = ArtifactStore(tmp_path / "link")
    assert linked.resolve("adapters/shop") == store.root / "adapters" / "shop"
    assert linked.resolve(str(tmp_path / "link" / "adapters" / "shop")) == store.root / "adapters" / "shop"


@pytest.mark.parametrize("source", ["adapters/shop/v2", "file.txt", "x" * 200])
def test_a_folder_that_is_not_there_is_not_found(store: ArtifactStore, source: str) -> None:
    with pytest.raises(ArtifactNotFoundError):
        store.resolve(source)


def test_a_name_too_long_for_the_file_system_is_an_error_of_ours(store: ArtifactStore) -> None:
    with pytest.raises((InvalidArtifactError, ArtifactNotFoundError)):
        store.resolve("x" * 5000)


def test_an_artifact_is_found_by_its_sha256(tiny: TinyStore) -> None:
    assert tiny.store.find(tiny.store.backbones, tiny.backbone.sha256) == tiny.backbone.path


def test_another_artifact_of_the_same_version_is_not_taken_for_it(tiny: TinyStore) -> None:
    other = tiny.backbone.sha256[:12] + "0" * 52
    for sha256 in (other, "f" * 64):
        with pytest.raises(ArtifactNotFoundError, match=sha256[:12]):
            tiny.store.find(tiny.store.backbones, sha256)


def test_an_artifact_from_another_store_is_taken_over_whole(tiny: TinyStore, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "mine")
    copy = store.take_over(tiny.backbone.path, store.backbones)
    assert copy == store.find(store.backbones, tiny.backbone.sha256)
    assert read_bundle(copy, BackboneManifest, tiny.backbone.sha256).manifest == tiny.backbone.manifest


def test_the_store_of_an_adapter_is_the_folder_that_holds_its_kin(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "artifacts")
    assert store_of(tiny.adapter.path).root == tmp_path / "artifacts"
    assert (
        store_of(tmp_path / "artifacts" / "." / "adapters" / "shop" / "x" / ".." / tiny.adapter.version) == tiny.store
    )
    for elsewhere in (tiny.backbone.path, tmp_path, Path("/")):
        with pytest.raises(ArtifactNotFoundError):
            store_of(elsewhere)
