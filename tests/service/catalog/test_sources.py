"""Where adapters may come from."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError
from models.store import ArtifactStore
from service.catalog.sources import AdapterSources
from service.errors import ConfigurationError, InvalidSourceError, RetryableError
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

DAY = 86_400
NOW = 2_000_000_000.0  # after the tests run, so that what they read is young


@pytest.fixture
def published(tmp_path: Path) -> TinyStore:
    """A store whose adapters are reached by URL."""
    return write_tiny_store(tmp_path / "published")


@pytest.fixture
def sources(tiny: TinyStore, tmp_path: Path) -> AdapterSources:
    return AdapterSources(tiny.store, tmp_path / "cache", (f"file://{tmp_path}/published",), 1 << 20)


def test_a_path_that_begins_with_the_root_itself_is_told_what_the_root_is(
    sources: AdapterSources, tiny: TinyStore
) -> None:
    path, root = tiny.adapter.path.relative_to(tiny.root), tiny.root.name
    for source in (f"{root}/{path}", f"./{root}/{path}"):
        with pytest.raises(ArtifactNotFoundError, match=f"which is itself the folder '{root}'.* give '{path}'") as told:
            sources.load(source)
        assert str(tiny.root) not in told.value.detail


def test_a_url_below_the_prefix_is_fetched_once(sources: AdapterSources, published: TinyStore) -> None:
    url = f"file://{published.adapter.path}"
    assert sources.load(url, published.adapter.sha256).version == published.adapter.version
    (published.adapter.path / "adapter.safetensors").unlink()
    assert sources.load(url).bundle.path.parent == sources.cache


def test_an_adapter_that_was_fetched_outlives_where_it_came_from(sources: AdapterSources, published: TinyStore) -> None:
    url = f"file://{published.adapter.path}"
    sources.load(url)
    shutil.rmtree(published.root)
    assert sources.load(url, published.adapter.sha256).version == published.adapter.version
    with pytest.raises(InvalidSourceError, match="cannot be read"):
        sources.load(url)  # which does not say what it must be


def test_a_damaged_copy_is_fetched_again(sources: AdapterSources, published: TinyStore) -> None:
    url = f"file://{published.adapter.path}"
    copy = sources.load(url).bundle.path
    (copy / "adapter.safetensors").write_bytes(b"damaged")
    assert sources.load(url).version == published.adapter.version


def test_what_a_killed_process_left_of_a_fetch_is_removed_and_nothing_else(
    sources: AdapterSources, published: TinyStore
) -> None:
    kept = sources.load(f"file://{published.adapter.path}").bundle.path
    shutil.copytree(kept, sources.cache / ".fetching-cut-off" / kept.name)
    sources.sweep()
    assert list(sources.cache.iterdir()) == [kept]


def test_what_was_never_fetched_is_not_removed_whatever_it_is_called(tiny: TinyStore, tmp_path: Path) -> None:
    """Where artifacts and the service's own data share a folder, domains have theirs beside what is fetched."""
    sources = AdapterSources(tiny.store, tmp_path / "adapters", (), 1 << 20, now=lambda: NOW)
    domain, file = sources.cache / "0123456789ab", sources.cache / "abcdefabcdef"
    shutil.copytree(tiny.adapter.path, domain / tiny.adapter.path.name)
    file.write_text("a file")
    for path in (domain, file):
        os.utime(path, (NOW - 2 * DAY, NOW - 2 * DAY))
    sources.drop_unused(())
    sources.sweep()
    assert sorted(sources.cache.iterdir()) == [domain, file]
    assert (domain / tiny.adapter.path.name).is_dir()


def test_what_was_fetched_stays_while_it_is_kept_or_was_read_within_a_day(tiny: TinyStore, tmp_path: Path) -> None:
    published = write_tiny_store(tmp_path / "published")
    bundles = [published.adapter, *(write_tiny_adapter(published, seed=seed) for seed in (1, 2, 3))]
    sources = AdapterSources(tiny.store, tmp_path / "cache", (f"file://{published.root}",), 1 << 20, now=lambda: NOW)
    kept, read, young, old = (sources.load(f"file://{bundle.path}").bundle.path for bundle in bundles)
    for path, age in ((kept, 2 * DAY), (read, 2 * DAY), (young, DAY - 1), (old, DAY + 1)):
        os.utime(path, (NOW - age, NOW - age))
    sources.load(f"file://{bundles[1].path}", bundles[1].sha256)
    sources.drop_unused({bundles[0].sha256})
    assert set(sources.cache.iterdir()) == {kept, read, young}
    assert not old.exists()


def test_a_data_directory_that_takes_no_adapter_is_told_and_not_the_source(
    sources: AdapterSources, published: TinyStore
) -> None:
    sources.cache.write_text("a file where the folder should be")
    with pytest.raises(RetryableError, match="the data directory cannot take the adapter: File exists") as told:
        sources.load(f"file://{published.adapter.path}")
    assert told.value.retry_after == 30


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "file://{root}-elsewhere/x",
        "file://{root}/../secret",
        "file://{root}/%2e%2e/secret",
        "simplecache::file://{root}/x",
        "file://{root}/x::file:///etc",
        "s3://bucket/x",
    ],
)
def test_any_other_url_is_refused(sources: AdapterSources, published: TinyStore, url: str) -> None:
    with pytest.raises(InvalidSourceError, match="VQREC_ADAPTER_URL_PREFIXES"):
        sources.load(url.format(root=published.root))


def test_nothing_at_the_url(sources: AdapterSources, published: TinyStore) -> None:
    with pytest.raises(InvalidSourceError, match="cannot be read"):
        sources.load(f"file://{published.root}/nothing")


def test_another_adapter_than_was_meant(sources: AdapterSources, published: TinyStore) -> None:
    with pytest.raises(ArtifactMismatchError):
        sources.load(f"file://{published.adapter.path}", "0" * 64)
    assert not sources.cache.exists()


def test_a_file_that_grew_or_changed(sources: AdapterSources, published: TinyStore) -> None:
    path = published.adapter.path / "adapter.safetensors"
    raw = path.read_bytes()
    for damaged in (raw + b"more", raw[:-1] + b"x", raw[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(InvalidArtifactError):
            sources.load(f"file://{published.adapter.path}")
    assert list(sources.cache.iterdir()) == []


def test_an_adapter_that_is_too_large(sources: AdapterSources, published: TinyStore) -> None:
    small = AdapterSources(sources.store, sources.cache, sources.url_prefixes, download_bytes=10)
    with pytest.raises(InvalidSourceError, match="larger than 10 bytes"):
        small.load(f"file://{published.adapter.path}")


def test_a_source_is_told_to_other_replicas_relative_to_the_root(tiny: TinyStore, sources: AdapterSources) -> None:
    relative = f"adapters/shop/{tiny.adapter.version}"
    assert sources.canonical(str(tiny.adapter.path)) == relative
    assert sources.canonical(f"adapters/../{relative}") == relative


@pytest.mark.parametrize("root", ["art2", "{tmp_path}/art2"])
@pytest.mark.parametrize("source", ["art2/adapters/x/y", "old{tmp_path}/art2/adapters/x/y"])
def test_a_source_is_named_as_it_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = source.format(tmp_path=tmp_path)
    sources = AdapterSources(ArtifactStore(Path(root.format(tmp_path=tmp_path))), tmp_path / "cache", (), 1 << 20)
    with pytest.raises(ArtifactNotFoundError) as refused:
        sources.load(source)
    assert f"'{source}'" in refused.value.detail


@pytest.mark.parametrize("root", ["art2", "{tmp_path}/art2"])
def test_an_error_does_not_tell_where_the_root_lies(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = AdapterSources(ArtifactStore(Path(root.format(tmp_path=tmp_path))), tmp_path / "cache", (), 1 << 20)
    with pytest.raises(ArtifactNotFoundError) as refused:
        sources.check_models(tiny.load_adapter())
    assert " in text-encoders: " in refused.value.detail


@dataclass(frozen=True)
class SwappedStore(ArtifactStore):
    """A store in which someone puts a link into the way between the look at a path and the reading."""

    replaced: Path = Path()
    by: Path = Path()

    def resolve(self, source: str) -> Path:
        path = super().resolve(source)
        self.replaced.rename(self.root / "aside")
        self.replaced.symlink_to(self.by)
        return path


@pytest.mark.parametrize("level", [0, 1, 2], ids=["the adapter", "its domain", "all adapters"])
def test_a_link_put_into_the_way_while_an_adapter_is_read_is_not_followed(
    tmp_path: Path, published: TinyStore, level: int
) -> None:
    tiny = write_tiny_store(tmp_path / "own")
    own, outside = ([store.adapter.path, *store.adapter.path.parents][level] for store in (tiny, published))
    sources = AdapterSources(SwappedStore(tiny.root, own, outside), tmp_path / "cache", (), 1 << 20)
    with pytest.raises(InvalidArtifactError, match="replaced by a link"):
        sources.load(f"adapters/shop/{tiny.adapter.version}")


@pytest.mark.parametrize("prefix", ["https://", "file:///", "https://user:secret@host/"])
def test_a_prefix_that_restricts_nothing_is_told_of_at_the_start(tiny: TinyStore, tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="VQREC_ADAPTER_URL_PREFIXES"):
        AdapterSources(tiny.store, tmp_path / "cache", (prefix,), 1 << 20)
