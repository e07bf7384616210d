"""Items put one at a time over HTTP by several clients at once, each with a connection of its own."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import quote

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Puts:
    """What is put.

    Args:
        port: of the service, on loopback.
        items: ids and texts.
        clients: puts under way at the same time.
        pause: seconds that a client waits between one answer and its next put.
    """

    port: int
    domain: str
    items: Sequence[tuple[str, str]]
    clients: int = 1
    pause: float = 0.0


def put_all(puts: Puts) -> list[float]:
    """Put every item; the seconds that each took.

    Raises:
        RuntimeError: if one of them was not created.
    """
    return asyncio.run(_put_all(puts))


async def _put_all(puts: Puts) -> list[float]:
    seconds: list[float] = []
    items = iter(puts.items)
    await asyncio.gather(*(_client(puts, items, seconds) for _ in range(puts.clients)))
    return seconds


async def _client(puts: Puts, items: Iterator[tuple[str, str]], seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", puts.port)
    try:
        for item_id, text in items:
            request = _request(puts.domain, item_id, text)
            start = perf_counter()
            writer.write(request)
            head = (await reader.readuntil(_HEAD_END)).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
            body = await reader.readexactly(int(length))
            seconds.append(perf_counter() - start)
            if head[9:12] != b"201":
                raise RuntimeError(f"the put of {item_id!r} was answered {head[9:12].decode()}: {body.decode()[:500]}")
            if puts.pause:
                await asyncio.sleep(puts.pause)
    finally:
        writer.close()


def _request(domain: str, item_id: str, text: str) -> bytes:
    body = json.dumps({"text": text}).encode()
    head = f"PUT /v1/domains/{domain}/items/{quote(item_id, safe='')} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
