"""HTTP/1.1 as uvicorn reads it, without what a client can make of it that nobody needs: upgrades and trailers."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CONNECT = b"CONNECT"


class Dropped(list[tuple[bytes, bytes]]):
    """Headers that come after the body, which could be without end, and would be taken for those before it."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Keep nothing."""


_TRAILERS = Dropped()


class PlainReader(HttpToolsProtocol):
    """Reads requests. ``on_head`` is called once the head of one is complete.

    A request that would rather go on in another protocol (`Upgrade`, as some clients ask for HTTP/2 with every request)
    is answered in this one. The parser cannot be told so, and takes the body for that protocol; so it is given the
    request again, without the wish.
    """

    _is_upgrading = False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == _CONNECT:  # a tunnel is nothing else
                    self.send_400_response("")
                    return
                data = self._plain_head() + data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self.send_400_response("")
                return
            else:
                return

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._is_upgrading = True
            return
        self.headers = _TRAILERS  # from here on; those before are in the scope
        self.on_head()

    def on_head(self) -> None:
        """Go on with a request whose head is complete: :meth:`start` it."""
        raise NotImplementedError

    def start(self) -> None:
        """Let the application work for the request that was read."""
        super().on_headers_complete()

    def _plain_head(self) -> bytes:
        """The head that was read, without its wish, for a parser that has read nothing."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self._is_upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
