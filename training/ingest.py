"""``vqrec ingest``: a catalogue into a running service, in bulk, over its REST interface."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import httpx

from training.dataset import Items
from training.errors import DataError, ServiceError
from training.progress import progress_bar, say

_ITEMS_PER_CALL = 256
_CALLS_AT_ONCE = 2
_ATTEMPTS = 5
_INVALID_SHOWN = 5

Result = dict[str, object]


@dataclass(frozen=True)
class IngestTarget:
    """Where the catalogue goes.

    Args:
        url: of the service, such as http://127.0.0.1:8000.
        domain: one that is served already.
        api_key: with the scope ``ingest``; None where the service asks for none.
        timeout: seconds for one call.

    Raises:
        ServiceError: if the URL can be none of a service.
    """

    url: str
    domain: str
    api_key: str | None = None
    timeout: float = 120.0

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ServiceError(f"{self.url!r} is no URL: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ServiceError(
                f"{self.url!r} is no URL of a service: it begins with http:// or https://, such as http://127.0.0.1:8000"
            )


def ingest(items: Items, target: IngestTarget) -> dict[str, int]:
    """Send every item and count the results by status: created, updated, unchanged, invalid.

    Sending again what is there changes nothing, so an interrupted run is simply started again.

    Raises:
        ServiceError: if the service cannot be reached or refuses a call.
        DataError: if there are no items.
    """
    if len(items) == 0:
        raise DataError("there are no items to ingest")
    counts: Counter[str] = Counter()
    headers = {"X-API-Key": target.api_key} if target.api_key else {}
    with (
        httpx.Client(base_url=target.url, headers=headers, timeout=target.timeout) as client,
        progress_bar(len(items), f"ingesting into {target.domain}", unit="item") as bar,
    ):
        for results in _send_all(client, f"/v1/domains/{target.domain}/items:bulk", _chunks(items)):
            for result in results:
                status = str(result["status"])
                counts[status] += 1
                if status == "invalid" and counts[status] <= _INVALID_SHOWN:
                    say(f"invalid item {result.get('item_id')!r}: {result.get('error')}")
            bar.update(len(results))
    return dict(counts)


def _send_all(client: httpx.Client, path: str, chunks: Iterator[list[dict[str, object]]]) -> Iterator[list[Result]]:
    """The results of each chunk in their order; while one is stored, the next is encoded."""
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        calls = deque(pool.submit(_send, client, path, chunk) for chunk in islice(chunks, _CALLS_AT_ONCE))
        while calls:
            yield calls.popleft().result()
            calls.extend(pool.submit(_send, client, path, chunk) for chunk in islice(chunks, 1))


def _chunks(items: Items) -> Iterator[list[dict[str, object]]]:
    for start in range(0, len(items), _ITEMS_PER_CALL):
        yield [
            {"item_id": items.item_ids[place], "text": items.texts[place], "attributes": items.attributes[place]}
            for place in range(start, min(start + _ITEMS_PER_CALL, len(items)))
        ]


def _send(client: httpx.Client, path: str, chunk: list[dict[str, object]]) -> list[Result]:
    for attempt in range(_ATTEMPTS):
        try:
            response = client.post(path, json=chunk)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{client.base_url} does not answer ({type(error).__name__}: {error}): does `vqrec serve` run there?"
            ) from error
        if response.status_code in (429, 503) and attempt + 1 < _ATTEMPTS:
            _wait(response)
            continue
        if response.is_error:
            raise ServiceError(f"{path} answered {response.status_code}: {_detail(response)}")
        results: list[Result] = response.json()["results"]
        return results
    raise ServiceError(f"{path} is still overloaded after {_ATTEMPTS} attempts")


def _wait(response: httpx.Response) -> None:
    time.sleep(min(30.0, float(response.headers.get("Retry-After", "1"))))


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError):
        return response.text[:200]
