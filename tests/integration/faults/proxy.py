"""A network that fails: a proxy between clients and one port on loopback, in a thread of its own."""

import asyncio
from collections.abc import Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")

_READ = 1 << 16
_ANSWER_SECONDS = 10.0


class _Connection:
    """One client's connection and the one that it is passed on to."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)
        self.passed = {"requests": 0, "answers": 0}

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()


class Proxy:
    """Passes on what comes; told to, it delays, cuts or refuses.

    Args:
        target: the port that it passes connections on to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._delay = 0.0
        self._most: dict[str, int | None] = {"requests": None, "answers": None}
        self._asked = 0
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.port = 0
        self.cuts = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.refuse()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_SECONDS)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def delay(self, seconds: float) -> None:
        """Hold back every answer for so long, from now on."""
        self._delay = seconds

    def cut(self) -> None:
        """Break every connection; new ones are passed on."""
        self._do(self._cut())

    def cut_after(self, most_bytes: int, of: Literal["requests", "answers"], asked: int = 0) -> None:
        """Break, once, the first connection on which more than so many bytes will have come from now on.

        Args:
            most_bytes: are passed on, also of the chunk that holds more.
            of: the direction that is counted.
            asked: only a connection with requests of so many bytes is broken.
        """
        self._do(self._cut_after(most_bytes, of, asked))

    def refuse(self) -> None:
        """Break every connection, and let nobody connect."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Listen (again)."""
        self._do(self._accept())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_SECONDS)

    async def _accept(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> None:
        for connection in self._connections:
            connection.cut()

    async def _cut_after(self, most_bytes: int, of: str, asked: int) -> None:
        for connection in self._connections:
            connection.passed = dict.fromkeys(connection.passed, 0)
        self._most[of], self._asked = most_bytes, asked

    async def _pass_on(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_client.transport.abort()
            return
        connection = _Connection(to_client, to_server)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(from_client, to_server, connection, "requests"),
                self._pump(from_server, to_client, connection, "answers"),
            )
        except OSError:
            pass  # one side broke it off, so the other is
        finally:
            self._connections.discard(connection)
            connection.cut()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection, of: str
    ) -> None:
        while data := await reader.read(_READ):
            if of == "answers" and self._delay:
                await asyncio.sleep(self._delay)
            most = self._most[of] if connection.passed["requests"] >= self._asked else None
            if most is not None and connection.passed[of] + len(data) > most:
                self._most[of], self._asked = None, 0
                self.cuts += 1
                writer.write(data[: most - connection.passed[of]])
                await writer.drain()
                writer.close()
                raise ConnectionAbortedError
            connection.passed[of] += len(data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # the end of one direction ends both
