"""A Redis that asks who comes: users with rules, and TLS before it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trustme
from redis.asyncio import Redis

PASSWORD = "a password of this test"


@asynccontextmanager
async def administrator(socket: Path) -> AsyncIterator["Redis"]:
    """A client that may do everything."""
    async with Redis(unix_socket_path=str(socket), decode_responses=True) as client:
        yield client


async def add_user(client: "Redis", name: str, rules: str) -> None:
    await client.execute_command("ACL", "SETUSER", name, "on", f">{PASSWORD}", *rules.split())


def as_user(socket: Path, name: str) -> str:
    """The URL under which a user comes."""
    return f"unix://{name}:{quote(PASSWORD)}@{quote(str(socket))}"


async def carried_out(client: "Redis") -> set[str]:
    """The commands that were carried out since the statistics were reset, those within scripts included."""
    told: dict[str, Any] = await client.info("commandstats")
    return {name.removeprefix("cmdstat_") for name, stats in told.items() if stats["calls"] > 0}


@asynccontextmanager
async def behind_tls(socket: Path, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """A port on loopback that speaks TLS with this certificate and passes everything on to Redis."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(socket))
        try:
            await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass  # either side may go first
    finally:
        writer.close()
