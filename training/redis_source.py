"""The catalogue of a running service, read from its Redis, in the form that training reads.

What is read is documented with the service's operation: the hash ``vqrec:{domain}:items`` holds, by item id, a version,
a line feed and a JSON record; ``vqrec:{domain}:vectors`` holds the text vectors, float16, little endian;
``vqrec:domains`` names the backbone that every domain is bound to, and with it the text encoder of the vectors.
Nothing is written.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import polars as pl
from pydantic import BaseModel, ConfigDict

from models.item_text import compose_text
from training.dataset import Dataset, Items, load_dataset
from training.errors import DataError, ServiceError
from training.prepare import ITEMS_FILE
from training.progress import progress_bar
from training.readers.tables import kind_of_table

if TYPE_CHECKING:
    from redis import Redis

_PAGE = 1000
_TIMEOUT_SECONDS = 30.0
_DOMAINS = "vqrec:domains"


@dataclass(frozen=True, eq=False)
class ServedCatalogue:
    """What a service knows of a domain's items.

    Args:
        items: sorted by id; their attributes are left out, since training reads none.
        vectors: text vectors, float16 as bytes, aligned with the items; None where there is none.
        backbone: the sha256 of the backbone that the domain is bound to, whose text encoder made the vectors.
    """

    items: Items
    vectors: list[bytes | None]
    backbone: str | None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer service may write fields that are not known here

    text: str


class _Entry(NamedTuple):
    text: str
    vector: bytes | None


def read_catalogue(url: str, domain: str) -> ServedCatalogue:
    """Read every item of ``domain`` from the Redis at ``url``, available or not.

    A record that cannot be read counts as not there, as the service has it. Of an item that is written meanwhile, text
    and vector are of one and the same instant.

    Raises:
        DataError: if the URL is none, or the domain has no items.
        ServiceError: if Redis does not answer.
        ModuleNotFoundError: if the Redis client is not installed.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - who adapts from files need not have it

    with _connected(url) as redis:
        try:
            backbone = cast("bytes | None", redis.hget(_DOMAINS, domain))
            found = _read_entries(redis, domain)
        except (RedisError, OSError) as error:
            raise ServiceError(f"Redis does not answer: {error}") from error
    if not found:
        raise DataError(f"this Redis has no items of a domain {domain!r}: is it the service's, and the name right?")
    item_ids = tuple(sorted(found))
    items = Items(item_ids, [found[item_id].text for item_id in item_ids], [{} for _ in item_ids])
    vectors = [found[item_id].vector for item_id in item_ids]
    return ServedCatalogue(items, vectors, backbone.decode() if backbone else None)


def join_interactions(items: Items, interactions: Path) -> Dataset:
    """A catalogue and a table of interactions, as :func:`training.dataset.load_dataset` reads them from one folder.

    Raises:
        DataError: if the table is not there or bad, or none of its items is in the catalogue.
    """
    if not interactions.is_file():
        raise DataError(f"there is no file {interactions}")
    kind_of_table(interactions)
    suffixes = interactions.suffixes[-2:] if interactions.suffix.lower() == ".gz" else interactions.suffixes[-1:]
    with tempfile.TemporaryDirectory(prefix="vqrec-") as folder:
        table = pl.DataFrame({"item_id": items.item_ids, "text": items.texts})
        table.write_parquet(Path(folder) / ITEMS_FILE)
        (Path(folder) / f"interactions{''.join(suffixes).lower()}").symlink_to(interactions.resolve())
        return load_dataset(Path(folder))


@contextmanager
def _connected(url: str) -> Iterator["Redis"]:
    from redis import Redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.maint_notifications import MaintNotificationsConfig  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    try:
        client = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), retries=0),
            retry_on_error=[],
            health_check_interval=0,
            decode_responses=False,
            protocol=3,
            legacy_responses=False,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
    except ValueError as error:
        # Not what the parser says, which may hold a part of the password if that has a slash in it.
        raise DataError(
            "this is not a Redis URL: redis://, rediss:// or unix://, / and @ of a password as %2F and %40"
        ) from error
    with client:
        yield client


def _read_entries(redis: "Redis", domain: str) -> dict[str, _Entry]:
    items, vectors = f"vqrec:{{{domain}}}:items", f"vqrec:{{{domain}}}:vectors"
    found: dict[str, _Entry] = {}
    cursor = 0
    with progress_bar(redis.hlen(items), "reading the catalogue", unit="item") as bar:
        while True:
            # A scan may give an item twice, or in another state than its vector: it is asked for ids alone.
            cursor, page = cast("tuple[int, Mapping[bytes, bytes]]", redis.hscan(items, cursor, count=_PAGE))
            found |= _read_page(redis, (items, vectors), list(page))
            bar.update(len(page))
            if cursor == 0:
                return found


def _read_page(redis: "Redis", keys: tuple[str, str], item_ids: list[bytes]) -> dict[str, _Entry]:
    if not item_ids:
        return {}
    pipe = redis.pipeline(transaction=True)
    for key in keys:
        pipe.hmget(key, item_ids)
    records, vectors = cast("list[list[bytes | None]]", pipe.execute())
    texts = [_text(record) for record in records]
    return {
        item_id.decode(): _Entry(text, vector)
        for item_id, text, vector in zip(item_ids, texts, vectors, strict=True)
        if text is not None
    }


def _text(raw: bytes | None) -> str | None:
    """The text of a record: version, line feed, JSON. None if it cannot be read."""
    if raw is None:
        return None
    try:
        return compose_text({"text": _Record.model_validate_json(raw.partition(b"\n")[2]).text})
    except ValueError:  # pydantic's, and that of a text of nothing but white space
        return None
