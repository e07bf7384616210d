"""Requests that two readers of HTTP/1.1 could cut apart in two ways: nothing that hides in one is taken for another."""

import pytest

from tests.service.edge.served import PATH, Held, connected, make_edge, served

pytestmark = pytest.mark.anyio

HIDDEN = b"POST /hidden HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n"
CHUNKS = b"0\r\n\r\n"
WHOLE = b"content-length: %d" % len(CHUNKS + HIDDEN)  # the hidden one is a part of the body
CHUNKED = b"transfer-encoding: chunked"  # the hidden one stands behind it
UPGRADE = (b"connection: upgrade", b"upgrade: h2c")

AMBIGUOUS: dict[str, tuple[bytes, ...]] = {
    "length and chunks": (WHOLE, CHUNKED),
    "chunks and length": (CHUNKED, WHOLE),
    "two lengths": (WHOLE, b"content-length: 5"),
    "two lengths in one": (b"content-length: 5, 5",),
    "a signed length": (b"content-length: +5",),
    "a length in hexadecimal digits": (b"content-length: 0x5",),
    "a length of two words": (b"content-length: 5 5",),
    "a length beyond all numbers": (b"content-length: " + b"9" * 40,),
    "white space before a colon": (b"transfer-encoding : chunked",),
    "white space before a name": (b" transfer-encoding: chunked",),
    "a name that is none": (b"transfer-encoding\x0b: chunked",),
    "an encoding that nobody knows": (b"transfer-encoding: xchunked",),
    "chunks that are not last": (b"transfer-encoding: chunked, identity",),
    "chunks twice, the second time otherwise": (CHUNKED, b"transfer-encoding: identity"),
    "an upgrade of two lengths": (*UPGRADE, WHOLE, b"content-length: 5"),
    "an upgrade of length and chunks": (*UPGRADE, WHOLE, CHUNKED),
    "an upgrade with white space before a colon": (*UPGRADE, b"transfer-encoding : chunked"),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_can_be_read_in_two_ways_is_refused_with_all_that_follows(headers: tuple[bytes, ...]) -> None:
    app = Held()
    app.released.set()
    async with served(app, make_edge(most=10)) as port, connected(port) as client:
        head = b"\r\n".join((b"POST %b HTTP/1.1" % PATH.encode(), b"host: here", *headers))
        client.send(head + b"\r\n\r\n" + CHUNKS + HIDDEN)
        assert (await client.answer())[0] == 400
        assert await client.ended()
    assert not app.bodies


@pytest.mark.parametrize(
    "chunk", [b"5;\n\r\nhello", b"5\nhello\r\n", b"-1\r\n\r\n", b"5\r\nhello!\r\n", b"g\r\n", b"0x5\r\nhello\r\n"]
)
async def test_a_chunk_that_is_none_ends_the_connection(chunk: bytes) -> None:
    app = Held()
    app.released.set()
    async with served(app, make_edge(most=10)) as port, connected(port) as client:
        client.send(
            b"POST %b HTTP/1.1\r\nhost: here\r\n%b\r\n\r\n" % (PATH.encode(), CHUNKED) + chunk + CHUNKS + HIDDEN
        )
        assert (await client.answer())[0] == 400
        assert await client.ended()
    assert not app.bodies
