"""The offline commands, as a shell script meets them: results on standard output, all else on standard error."""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.bundle import Bundle, read_bundle
from models.manifest import AdapterManifest, BackboneManifest, TransformerArchitecture
from models.store import ArtifactStore
from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import make_settings, running_service
from tests.tiny_models import write_tiny_store
from tests.training.running_commands import NETWORK, SIZES, Vqrec
from tests.training.small_shop import Pretrained, SmallShops, Trained
from training.config import NetworkConfig, TrainingConfig
from training.dataset import load_dataset
from training.histories import split_leave_one_out
from training.loop import FitConfig

CODES, EPOCH = SIZES[:4], SIZES[4:]
_CLI_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
PUBLISHED = re.findall(
    r"^ {4}vqrec pretrain --data A B C --out ARTIFACTS (.*?)\n\n", _CLI_PAGE, re.DOTALL | re.MULTILINE
)
METRICS = ["recall@10", "ndcg@10", "recall@50", "ndcg@50", "mrr"]


@pytest.mark.training
def test_train_ends_with_the_adapters_path_and_evaluate_scores_it(
    vqrec: Vqrec, shops: SmallShops, tmp_path: Path
) -> None:
    store = shops.new_store(tmp_path / "artifacts")
    data = shops.folders[0]
    trained = vqrec("train", "--data", data, "--domain", "my-shop", "--out", store.root, *SIZES, *NETWORK)
    assert trained.status == 0, trained.err
    adapter = Path(trained.last_line)
    assert adapter.is_absolute()
    assert trained.out.splitlines() == [str(adapter)]
    assert "epoch 1, loss" in trained.err
    manifest = read_bundle(adapter, AdapterManifest).manifest
    assert manifest.domain == "my-shop"
    assert manifest.width == 16
    assert store.find(store.backbones, manifest.backbone).is_dir()

    json_file = tmp_path / "made" / "metrics.json"
    evaluated = vqrec("evaluate", "--data", data, "--adapter", adapter, "--json", json_file)
    assert evaluated.status == 0, evaluated.err
    document = json.loads(json_file.read_text())
    assert sorted(document) == ["items", "seconds", "test", "users", "valid"]
    assert list(document["test"]) == list(document["valid"]) == METRICS
    assert (document["users"], document["items"]) == (400, 420)
    assert document["seconds"] > 0
    assert [line.split()[0] for line in evaluated.out.splitlines()] == ["400", "valid", "test"]
    assert f"ndcg@10 {document['test']['ndcg@10']:.4f}" in evaluated.last_line
    assert "exclude_history" not in document
    served = vqrec("evaluate", "--data", data, "--adapter", adapter, "--exclude-history", "--json", json_file)
    assert served.status == 0, served.err
    assert json.loads(json_file.read_text())["exclude_history"] is True
    assert served.last_line != evaluated.last_line


@pytest.mark.training
def test_pretrain_takes_several_folders_and_adapt_goes_on_from_its_last_line(
    vqrec: Vqrec, shops: SmallShops, tmp_path: Path
) -> None:
    store = shops.new_store(tmp_path / "artifacts")
    pretrained = vqrec("pretrain", "--data", *shops.folders, "--out", store.root, *SIZES, *NETWORK)
    assert pretrained.status == 0, pretrained.err
    backbone = read_bundle(Path(pretrained.last_line), BackboneManifest)
    assert pretrained.out.splitlines() == [str(backbone.path)]
    assert all(str(folder) in pretrained.err for folder in shops.folders)

    where = ("--backbone", backbone.path, "--domain", "second", "--out", tmp_path / "other")
    adapted = vqrec("adapt", "--data", shops.folders[1], *where, *SIZES)
    assert adapted.status == 0, adapted.err
    adapter = read_bundle(Path(adapted.last_line), AdapterManifest)
    assert adapted.out.splitlines() == [str(adapter.path)]
    assert adapter.manifest.backbone == backbone.sha256
    assert adapter.path.parents[2] == tmp_path / "other"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrainingConfig]:
    """What ``pretrain`` is told, each time; nothing is trained."""
    told: list[TrainingConfig] = []

    def stands_in(_datasets: object, _store: object, config: TrainingConfig, *_: object) -> Bundle[BackboneManifest]:
        told.append(config)
        return write_tiny_store(tmp_path).backbone

    monkeypatch.setattr("training.pretrain.pretrain", stands_in)
    return told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), TrainingConfig(fit=FitConfig(learning_rate=3e-3, network_rate=0.03, weight_decay=0.7))),
        (
            PUBLISHED[0].replace("\\\n", " ").split(),
            TrainingConfig(
                tables="permuted",
                redrawn_share=0.75,
                drawn_negatives=0,
                fingerprints=0,
                network=NetworkConfig(TransformerArchitecture()),
                fit=FitConfig(weight_decay=0.7),  # which nothing in pre-training fades by
            ),
        ),
        (
            ("--tables", "permuted"),
            TrainingConfig(
                tables="permuted",
                network=NetworkConfig(TransformerArchitecture()),
                fit=FitConfig(learning_rate=3e-3, weight_decay=0.7),
            ),
        ),
    ],
    ids=["default", "as documented to be the published recipe", "permuted"],
)
def test_pretrain_is_told_what_the_options_say(
    vqrec: Vqrec, shops: SmallShops, runs: list[TrainingConfig], options: Sequence[str], told: TrainingConfig
) -> None:
    done = vqrec("pretrain", "--data", shops.folders[0], "--out", shops.folders[0] / "out", *options)
    assert done.status == 0, done.err
    assert runs == [told]


def test_sample_prints_its_folders_and_the_seed_decides_what_is_in_them(vqrec: Vqrec, tmp_path: Path) -> None:
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = vqrec("sample", "--out", tmp_path / name, "--seed", seed)
        folders = [Path(line) for line in done.out.splitlines()]
        assert len(folders) == 2
        prints.append([load_dataset(folder).fingerprint for folder in folders])
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.training
def test_a_backbone_is_never_changed_by_evaluating_or_adapting_with_another_seed(
    vqrec: Vqrec, shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in pretrained.backbone.path.iterdir()}

    before = files()
    where = ("--backbone", pretrained.backbone.path, "--domain", "shop", "--out", tmp_path / "out")
    paths = {vqrec("adapt", "--data", shops.folders[0], *where, *SIZES, "--seed", seed).last_line for seed in (0, 0, 1)}
    assert len(paths) == 2
    for path in paths:
        assert vqrec("evaluate", "--data", shops.folders[0], "--adapter", path).status == 0
    assert files() == before


@pytest.mark.training
def test_adapt_zero_shot_needs_no_interactions(
    vqrec: Vqrec, shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    data = tmp_path / "catalogue"
    data.mkdir()
    (data / "items.parquet").symlink_to(shops.folders[1] / "items.parquet")
    where = ("--backbone", pretrained.backbone.path, "--domain", "new", "--out", tmp_path / "out")
    adapted = vqrec("adapt", "--data", data, *where, *CODES, "--zero-shot")
    assert adapted.status == 0, adapted.err
    assert read_bundle(Path(adapted.last_line), AdapterManifest).manifest.metrics == {}
    refused = vqrec("adapt", "--data", data, *where, *SIZES)
    assert (refused.status, refused.out) == (1, "")
    assert "has no interactions.parquet" in refused.err


@pytest.mark.training
def test_train_needs_no_interactions_for_a_start(vqrec: Vqrec, shops: SmallShops, tmp_path: Path) -> None:
    store = shops.new_store(tmp_path / "out")
    items_alone = tmp_path / "data"
    items_alone.mkdir()
    (items_alone / "items.parquet").write_bytes((shops.folders[0] / "items.parquet").read_bytes())
    where = ("--data", items_alone, "--domain", "shop", "--out", store.root, *CODES, *NETWORK)
    started = vqrec("train", *where, "--zero-shot")
    assert started.status == 0, started.err
    adapter = read_bundle(Path(started.last_line), AdapterManifest).manifest
    assert adapter.metrics == {}
    assert [path.name for path in store.backbones.iterdir()] == [adapter.backbone[:12]]
    refused = vqrec("train", *where, "--zero-shot", "--share", 0.5)
    assert (refused.status, refused.out) == (2, "")
    assert "leave out --share" in refused.err


@pytest.mark.training
def test_adapt_learns_from_a_share_of_the_users(
    vqrec: Vqrec, shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    where = ("--backbone", pretrained.backbone.path, "--domain", "shop", "--out", tmp_path / "out")
    adapted = vqrec("adapt", "--data", shops.folders[0], *where, *SIZES, "--share", 0.1, "--seed", 3)
    assert adapted.status == 0, adapted.err
    popularity = json.loads((Path(adapted.last_line) / "popularity.json").read_text())
    histories = split_leave_one_out(shops.dataset().histories).train
    assert 0 < sum(popularity.values()) < 0.2 * len(histories.items)


@pytest.mark.training
def test_report_writes_pages_and_prints_the_one_to_open(
    vqrec: Vqrec, shops: SmallShops, trained: Trained, tmp_path: Path
) -> None:
    adapter, out = trained.result.adapter.path, tmp_path / "report"
    done = vqrec("report", "--data", shops.folders[0], "--adapter", f"codes={adapter}", "--baselines", "--out", out)
    assert done.status == 0, done.err
    assert done.out.splitlines() == [str(out / "report.html")]
    assert "| codes | 1 |" in (out / "report.md").read_text()
    assert [run["system"] for run in json.loads((out / "report.json").read_text())["runs"]] == [
        "popularity",
        "nearest text",
        "codes",
    ]
    again = vqrec("report", "--results", out, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "report.md").read_text() == (out / "report.md").read_text(), again.err


@pytest.mark.training
@pytest.mark.anyio
async def test_adapt_reads_a_service_as_it_reads_files(
    vqrec: Vqrec, shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    data, store = shops.folders[0], ArtifactStore(tmp_path / "out")
    where = ("--backbone", pretrained.backbone.path, "--domain", "shop", "--out", store.root, *CODES)
    zero_shot = await asyncio.to_thread(vqrec, "adapt", "--data", data, *where, "--zero-shot")
    assert zero_shot.status == 0, zero_shot.err
    dataset = shops.dataset()
    async with (
        embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url,
        running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service,
    ):
        await service.until_ready()
        await service.serve(read_bundle(Path(zero_shot.last_line), AdapterManifest))
        await service.put_items(dict(zip(dataset.item_ids, dataset.texts, strict=True)))
        redis = ("--redis", url, *where)
        log = ("--interactions", data / "interactions.parquet")
        from_redis = await asyncio.to_thread(vqrec, "adapt", *redis, *log, *EPOCH)
        catalogue_alone = await asyncio.to_thread(vqrec, "adapt", *redis, "--zero-shot")
        without_log = await asyncio.to_thread(vqrec, "adapt", *redis)
    assert from_redis.status == 0, from_redis.err
    assert f"{len(set(dataset.texts))} of {len(set(dataset.texts))} texts taken from the service" in from_redis.err
    assert catalogue_alone.last_line == zero_shot.last_line
    from_files = await asyncio.to_thread(vqrec, "adapt", "--data", data, *where, *EPOCH)
    assert from_redis.last_line == from_files.last_line
    assert without_log.status == 1
    assert "give --interactions" in without_log.err
