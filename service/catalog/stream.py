"""The change stream of a domain: what was written, in the order in which it was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from service.catalog.keys import DomainKeys
from service.redis_client import BLOCK_SECONDS, RedisClient

BATCH = 500


class StreamId(NamedTuple):
    """A place in a stream; compares as Redis orders them."""

    milliseconds: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> "StreamId":
        milliseconds, _, sequence = text.partition("-")
        return cls(int(milliseconds), int(sequence))

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


START = StreamId(0, 0)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: ``item_id`` was put or deleted, right after the change ``after``."""

    id: StreamId
    operation: Literal["put", "delete"]
    item_id: str
    after: StreamId


class StreamGapError(Exception):
    """Changes between the reader's position and the stream's first entry are gone: only loading everything helps."""


class ChangeStream:
    """Reads the changes of one domain."""

    def __init__(self, redis: RedisClient, domain: str) -> None:
        self._redis = redis
        self._key = DomainKeys(domain).changes

    async def end(self) -> StreamId:
        """The id of the last change, ``0-0`` if there was none."""
        last = await self._redis.run(self._redis.commands.xrevrange(self._key, count=1))
        return StreamId.parse(cast(bytes, last[0][0]).decode()) if last else START

    async def read(self, position: StreamId) -> list[Change]:
        """The next changes after ``position``, oldest first; none if none came within ``BLOCK_SECONDS``.

        Raises:
            StreamGapError: if a change between ``position`` and the first one read was trimmed.
            RedisUnavailableError: if Redis does not answer.
        """
        answer = await self._redis.wait(
            self._redis.blocking.xread({self._key: str(position)}, count=BATCH, block=int(BLOCK_SECONDS * 1000))
        )
        entries = cast("Mapping[bytes, list[tuple[bytes, dict[bytes, bytes]]]]", answer).get(self._key.encode(), [])
        try:
            changes = [_parse(entry_id, fields) for entry_id, fields in entries]
        except (KeyError, ValueError) as error:
            raise StreamGapError("something else has written to the stream") from error
        if changes and changes[0].after != position:
            raise StreamGapError(f"expected the change after {position}, found the one after {changes[0].after}")
        return changes


def _parse(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Change:
    operation = cast(Literal["put", "delete"], fields[b"op"].decode())
    return Change(
        StreamId.parse(entry_id.decode()), operation, fields[b"id"].decode(), StreamId.parse(fields[b"after"].decode())
    )
