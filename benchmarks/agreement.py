"""Does the service tell the same truth as ``vqrec evaluate``? Every item ingested, every test user asked for."""

from collections.abc import Iterator

import httpx
import numpy as np

from benchmarks.setting import read_setting
from models.store import ArtifactStore
from training.dataset import Dataset
from training.evaluate import evaluate
from training.histories import Targets, split_leave_one_out
from training.ingest import IngestTarget, ingest
from training.local_service import checked, local_service, serve_adapter

DOMAIN = "scientific"
_REQUESTS_PER_CALL = 64


def main() -> None:
    setting = read_setting("agreement", __doc__ or "")
    dataset = setting.dataset(DOMAIN)
    artifacts = setting.artifacts
    adapter = setting.adapter(dataset, DOMAIN, ArtifactStore(artifacts))
    evaluation = evaluate(dataset, adapter)
    with local_service(artifacts, setting.work / "service", setting.port) as client:
        serve_adapter(client, DOMAIN, adapter)
        counts = ingest(dataset.items, IngestTarget(str(client.base_url), DOMAIN))
        served = _ranks(client, dataset, split_leave_one_out(dataset.histories).test)
    rows = [
        (
            f"recall@{k}",
            evaluation.test[f"recall@{k}"],
            float(np.mean(served < k)),
            float(np.mean(served < k)) - expected,
        )
        for k, expected in ((10, evaluation.test["recall@10"]), (50, evaluation.test["recall@50"]))
    ]
    setting.report(("metric", "evaluate", "service", "difference"), rows, {"users": len(served), "ingested": counts})


def _ranks(client: httpx.Client, dataset: Dataset, targets: Targets) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The place of each user's target in the 50 items that the service recommends; 50 where it is not among them."""
    ranks = []
    for calls, wanted in _calls(dataset, targets):
        answer = checked(client.post(f"/v1/domains/{DOMAIN}/recommendations:batch", json={"requests": calls}))
        for result, target in zip(answer["results"], wanted, strict=True):
            found = [item["item_id"] for item in result["items"]]
            ranks.append(found.index(target) if target in found else 50)
    return np.array(ranks, dtype=np.int64)


def _calls(dataset: Dataset, targets: Targets) -> Iterator[tuple[list[dict[str, object]], list[str]]]:
    ids = dataset.item_ids
    for start in range(0, len(targets), _REQUESTS_PER_CALL):
        users = range(start, min(start + _REQUESTS_PER_CALL, len(targets)))
        histories = [[ids[item] for item in targets.histories[user]] for user in users]
        calls = [{"history": history, "limit": 50, "exclude_history": False} for history in histories]
        yield calls, [ids[targets.items[user]] for user in users]


if __name__ == "__main__":
    main()
