"""An application behind the edge, on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, time
from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.edge.admitted import Admitted
from service.edge.edge import Edge, EdgeConfig
from service.edge.protocol import EdgeProtocol
from service.metrics import Metrics
from service.security import Access, parse_keys

PATH = "/v1/domains/shop/recommendations"
LONG = 3600.0
WAIT_SECONDS = 30.0  # for what must come; a test that passes does not wait


@dataclass
class Held:
    """An application that reads a request whole and answers when it is released; notes what became of each."""

    answer: bytes = b"{}"
    bodies: list[bytes] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    started: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started += 1
        try:
            body, more = b"", True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.ends.append("disconnected")
                    return
                body, more = body + message["body"], message["more_body"]
            self.bodies.append(body)
            if scope["path"] != "/livez":
                await self.released.wait()
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        self.ends.append("answered")
        scope["state"]["status"] = 200
        headers = [(b"content-length", b"%d" % len(self.answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer})


def make_edge(
    metrics: Metrics | None = None, keys: str = "", known: Collection[str] = ("shop", "other"), **limits: float
) -> Edge:
    """An edge that cuts nobody off, and asks for no keys unless told which there are."""
    config: dict[str, float] = {
        "longest_wait": 1.0,
        "fewest": 1,
        "most": 1,
        "connections": 1000,
        "body_bytes": 1 << 20,
        "largest_body": 1 << 30,
        "client_seconds": LONG,
        "idle_seconds": LONG,
        "burst": 1,
    }
    metrics = metrics or Metrics()
    access = Access(parse_keys(keys), None, metrics, now=time, clock=perf_counter)
    return Edge(EdgeConfig(**{**config, **limits}), known.__contains__, access, metrics, perf_counter)  # type: ignore[arg-type]


@asynccontextmanager
async def served(app: ASGIApp, edge: Edge) -> AsyncIterator[int]:
    """The port where the application is served until the context ends."""
    async with listening(Admitted(app), SimpleNamespace(edge=edge)) as port:
        yield port


@asynccontextmanager
async def listening(app: ASGIApp, app_state: object) -> AsyncIterator[int]:
    """The same for an application that looks after tickets itself, with the state that its requests find."""
    config = Config(app, lifespan="off", ws="none", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: EdgeProtocol(config, state, {"app": app_state}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Client:
    """A connection on which anything can be sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    def ask(self, path: str = PATH, body: bytes = b"", method: str = "POST", *headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "host: here", f"content-length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def answer(self, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(WAIT_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"])) if has_body else b""
        return int(lines[0].split()[1]), headers, body

    async def ended(self) -> bool:
        """Wait until the server ends the connection; False if more comes before."""
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
