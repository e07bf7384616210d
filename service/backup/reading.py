"""Reads one domain out of a Redis that is being written to, as it was at one instant."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

from service.backup.errors import BackupError
from service.backup.format import ItemLine
from service.catalog.keys import DOMAINS, STORE, DomainKeys

_PAGE = 1000  # items at a time: some two megabytes
_START = "0-0"

_CATCH_UP = """
-- KEYS items, vectors, changes, adapter, domains, store, codes...; ARGV domain, change that was seen last, how many
-- Answers the next changes, the items that they name as those are now, and, where these are all the changes that there
-- are, what else is to be known of the domain in this instant.
local changes = redis.call('XRANGE', KEYS[3], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
local ids, named = {}, {}
for _, change in ipairs(changes) do
  local fields = change[2]
  for place = 1, #fields, 2 do
    local item = fields[place + 1]
    if fields[place] == 'id' and not named[item] then
      named[item] = true
      ids[#ids + 1] = item
    end
  end
end
local parts = {}
if #ids > 0 then
  parts = {redis.call('HMGET', KEYS[1], unpack(ids)), redis.call('HMGET', KEYS[2], unpack(ids))}
  for place = 7, #KEYS do parts[#parts + 1] = redis.call('HMGET', KEYS[place], unpack(ids)) end
end
if #changes == tonumber(ARGV[3]) then return {changes, ids, parts} end
local codes = {}
for place = 7, #KEYS do codes[#codes + 1] = redis.call('EXISTS', KEYS[place]) end
return {
  changes, ids, parts,
  {redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[2]), redis.call('HGETALL', KEYS[4]),
   redis.call('HGET', KEYS[5], ARGV[1]), redis.call('GET', KEYS[6]), codes}
}
"""


class DomainState(NamedTuple):
    """What else there is to a domain in the instant of which it was read."""

    items: int
    vectors: int
    codes: tuple[str, ...]
    position: str
    adapter: dict[str, str]
    backbone: str
    store: str | None


class DomainReading:
    """A domain, page by page: every item, then again those that changed meanwhile, until nothing is left to catch up.

    Each item is read in one step with its vector and codes. What changed after it was read is named by the change
    stream, and comes again in a later page; the last page is read together with the end of the stream. So the pages, a
    later line of an item in place of an earlier one, are the domain as it was when the last of them was read.

    ``state`` is what the domain was in that instant, None before.

    Args:
        page: items, and changes, that are read at a time.
    """

    def __init__(self, redis: "Redis", domain: str, page: int = _PAGE) -> None:
        self.state: DomainState | None = None
        self._redis, self._domain, self._keys, self._page = redis, domain, DomainKeys(domain), page
        self._catch_up_script = redis.register_script(_CATCH_UP)
        self._quantizers: tuple[str, ...] = ()

    def count(self) -> int:
        """How many items there are now."""
        return self._redis.hlen(self._keys.items)

    def pages(self) -> Iterator[list[ItemLine]]:
        """Some lines at a time.

        Raises:
            BackupError: if the domain is not there, was deleted meanwhile, or changes faster than it can be read.
            redis.RedisError: if Redis does not answer.
        """
        incarnation = self._redis.hget(self._keys.adapter, "incarnation")
        if incarnation is None:
            raise BackupError(f"there is no domain {self._domain!r}")
        self._quantizers = self._stored_quantizers()
        position, cursor, scanned = self._end(), 0, False
        while True:
            if not scanned:
                cursor, found = cast(
                    "tuple[int, dict[bytes, bytes]]", self._redis.hscan(self._keys.items, cursor, count=self._page)
                )
                scanned = cursor == 0
                if found:
                    yield self._read(list(found))
            # After every page, since a stream is kept for a while only.
            position, changed, state = self._catch_up(position)
            if scanned and state is not None:
                break
            yield changed
        if state.adapter.get("incarnation") != cast(bytes, incarnation).decode():
            raise BackupError(f"the domain {self._domain!r} was deleted while it was read; run the command again")
        self.state = state
        yield changed

    def _stored_quantizers(self) -> tuple[str, ...]:
        keys = self._redis.scan_iter(match=self._keys.all_codes, count=_PAGE)
        return tuple(sorted({cast(bytes, key).decode().rpartition(":")[2] for key in keys}))

    def _end(self) -> str:
        last = cast("list[tuple[bytes, object]]", self._redis.xrevrange(self._keys.changes, count=1))
        return last[0][0].decode() if last else _START

    def _read(self, ids: Sequence[bytes]) -> list[ItemLine]:
        """These items as they are now; those that are gone are named by the stream."""
        pipe = self._redis.pipeline(transaction=True)
        for key in (self._keys.items, self._keys.vectors, *map(self._keys.codes, self._quantizers)):
            pipe.hmget(key, cast("list[str]", ids))
        return [line for line in self._lines(ids, pipe.execute()) if line.value is not None]

    def _catch_up(self, position: str) -> tuple[str, list[ItemLine], DomainState | None]:
        keys = self._keys
        names = [keys.items, keys.vectors, keys.changes, keys.adapter, DOMAINS, STORE]
        answer = cast(
            "list[Any]",
            self._catch_up_script(
                [*names, *map(keys.codes, self._quantizers)], [self._domain, position, self._page], client=self._redis
            ),
        )
        changes, ids, parts, *rest = answer
        if changes:
            after = dict(zip(changes[0][1][::2], changes[0][1][1::2], strict=True)).get(b"after", b"").decode()
            if after != position:
                raise BackupError(
                    f"the domain {self._domain!r} changed so fast that its change stream was trimmed before it was "
                    "read; raise VQREC_STREAM_LENGTH, or run the command again when less is written"
                )
            position = changes[-1][0].decode()
        return position, self._lines(ids, parts) if ids else [], self._state(rest[0], position) if rest else None

    def _lines(self, ids: Sequence[bytes], parts: "Sequence[Sequence[bytes | None]]") -> list[ItemLine]:
        values, vectors, *codes = parts
        lines = []
        for place, item_id in enumerate(ids):
            of_item = {
                name: code
                for name, column in zip(self._quantizers, codes, strict=True)
                if (code := column[place]) is not None
            }
            value = values[place]
            lines.append(
                ItemLine(item_id, value, vectors[place], of_item) if value is not None else ItemLine(item_id, None)
            )
        return lines

    def _state(self, raw: "list[Any]", position: str) -> DomainState:
        items, vectors, adapter, backbone, store, codes = raw
        words = [word.decode() for word in adapter]
        if not words or backbone is None:
            raise BackupError(f"the domain {self._domain!r} was deleted while it was read; run the command again")
        return DomainState(
            items,
            vectors,
            tuple(name for name, exists in zip(self._quantizers, codes, strict=True) if exists),
            position,
            dict(zip(words[::2], words[1::2], strict=True)),
            backbone.decode(),
            store.decode() if store is not None else None,
        )
