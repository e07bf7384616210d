"""How often is an item found that nobody has bought yet, known by its text alone?

A tenth of the items, drawn with a seed, is taken out of the data before anything is trained. The service then ingests
them by their text, and is asked for the test users whose next item is one of them. What a user has had is not
recommended again, by none of the rankings: users whose next item is one that they have are left out.
"""

import httpx
import numpy as np
import numpy.typing as npt

from benchmarks.setting import Setting, read_setting
from models.adapter import DomainAdapter
from models.manifest import TransformerArchitecture
from models.store import ArtifactStore
from training.baselines.item_network import BaselineConfig
from training.baselines.text_projection import train_text_projection
from training.checkpoint import CheckpointFolder
from training.config import NetworkConfig
from training.dataset import Dataset
from training.evaluate import ServedModel
from training.histories import Histories, Targets, split_leave_one_out
from training.ingest import IngestTarget, ingest
from training.local_service import checked, local_service, serve_adapter
from training.loop import FitConfig
from training.text_vectors import encode_texts

DOMAIN = "scientific"
SEED = 0
SHARE = 0.1


def main() -> None:
    setting = read_setting("cold_start", __doc__ or "")
    dataset = setting.dataset(DOMAIN)
    held_out = _draw(len(dataset.item_ids))
    store = ArtifactStore(setting.work / "cold-start")
    adapter = setting.adapter(dataset.without_items(held_out.tolist()), DOMAIN, store)
    targets = _targets_among(dataset, held_out)
    with local_service(store.root, setting.work / "cold-start-service", setting.port) as client:
        serve_adapter(client, DOMAIN, adapter)
        ingest(dataset.items, IngestTarget(str(client.base_url), DOMAIN))
        found = {"vqrec, by the text's code": _served(client, dataset, targets)}
    model = ServedModel.load(adapter)
    texts = encode_texts(dataset.texts, model.encoder, store.cache)
    found["projected texts, no codes"] = _projected_text(dataset, held_out, texts, targets, setting)
    found["nearest text to the last item"] = _nearest_text(texts, targets)
    found["popularity"] = _popular(model.adapter, dataset, targets)
    rows = [(name, *(float(np.mean(ranks < k)) for k in (10, 50))) for name, ranks in found.items()]
    facts = {"items held out": len(held_out), "catalogue": len(dataset.item_ids), "users": len(targets), "seed": SEED}
    setting.report(("ranking", "recall@10", "recall@50"), rows, facts)


def _draw(items: int) -> npt.NDArray[np.int64]:
    return np.sort(np.random.default_rng(SEED).choice(items, round(items * SHARE), replace=False))


def _targets_among(dataset: Dataset, held_out: npt.NDArray[np.int64]) -> Targets:
    """The test targets that were held out and are new to their user; histories keep the items that were held out."""
    test = split_leave_one_out(dataset.histories).test
    new = [target not in history for target, history in zip(test.items, test.histories, strict=True)]
    chosen = np.isin(test.items, held_out) & np.array(new)
    return Targets(test.histories.of_users(chosen), test.items[chosen])


def _served(client: httpx.Client, dataset: Dataset, targets: Targets) -> npt.NDArray[np.int64]:
    ranks = []
    for user, target in enumerate(targets.items):
        history = [dataset.item_ids[item] for item in targets.histories[user]]
        body = {"history": history, "limit": 50}
        answer = checked(client.post(f"/v1/domains/{DOMAIN}/recommendations", json=body))
        ids = [item["item_id"] for item in answer["items"]]
        ranks.append(ids.index(dataset.item_ids[target]) if dataset.item_ids[target] in ids else 50)
    return np.array(ranks)


def _projected_text(
    dataset: Dataset,
    held_out: npt.NDArray[np.int64],
    texts: npt.NDArray[np.float16],
    targets: Targets,
    setting: Setting,
) -> npt.NDArray[np.int64]:
    """The same network over one linear map of text vectors [items, text_dim], trained on the same histories."""
    kept = dataset.histories.where(~np.isin(dataset.histories.items, held_out))
    split = split_leave_one_out(kept.of_users(kept.lengths > 0))
    fit = FitConfig(max_epochs=1) if setting.quick else FitConfig()
    config = BaselineConfig(NetworkConfig(TransformerArchitecture()), fit=fit)
    fingerprint = f"{dataset.fingerprint} without {SHARE} drawn with {SEED}"
    at = CheckpointFolder.of_run(setting.work / "cold-start-projection", "projected-texts", fingerprint, config)
    return _rank(train_text_projection(split, texts, config, at).scores(list(targets.histories)), targets)


def _nearest_text(texts: npt.NDArray[np.float16], targets: Targets) -> npt.NDArray[np.int64]:
    """Cosine between text vectors [items, text_dim]."""
    vectors = texts.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    last = _last(targets.histories)
    return _rank(vectors[last] @ vectors.T, targets)


def _popular(adapter: DomainAdapter, dataset: Dataset, targets: Targets) -> npt.NDArray[np.int64]:
    counts = np.array([adapter.popularity.get(item_id, 0) for item_id in dataset.item_ids], dtype=np.float32)
    return _rank(np.repeat(counts[None, :], len(targets), axis=0), targets)


def _last(histories: Histories) -> npt.NDArray[np.int32]:
    return np.asarray(histories.items[histories.offsets[1:] - 1])


def _rank(scores: npt.NDArray[np.float32], targets: Targets) -> npt.NDArray[np.int64]:
    """Ranks from 0 among what the user has not had; scores float32 [users, items], those of equal score by item id."""
    target = targets.items[:, None]
    for user, history in enumerate(targets.histories):
        scores[user, history] = -np.inf
    target_scores = np.take_along_axis(scores, target, axis=1)
    before = np.arange(scores.shape[1])[None, :] < target
    return np.asarray(((scores > target_scores) | ((scores == target_scores) & before)).sum(axis=1))


if __name__ == "__main__":
    main()
