"""HTTP connections as uvicorn reads them, with an edge: a request is refused before a task is made for it, slow clients
are cut off, and what nobody waits for any more is broken off.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from service.edge.admission import Ticket
from service.edge.edge import Edge
from service.edge.reading import PlainReader
from service.edge.refusals import Refusal
from service.edge.routes import Target, target_of

_LONGEST_HEAD = 32 * 1024
_SMALL_BODY = 64 * 1024  # so much of a body is not counted, since there are only so many requests in flight
_MOST_PIPELINED = 16  # requests that wait on a connection for the answer to an earlier one
_MOST_AROUND = 512 * 1024  # bytes of a request that need not be its body: head and trailers, with what one read brings
_AROUND_EACH = 8  # and so many for each byte of the body, which may come in chunks of one


class _Writer:
    """Writes to a transport, and knows how much it was given last: that is in memory until all of it is sent."""

    __slots__ = ("_write", "close", "is_closing", "last")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.close, self.is_closing, self._write, self.last = transport.close, transport.is_closing, transport.write, 0

    def write(self, data: bytes) -> None:
        self.last = len(data)
        self._write(data)


class EdgeProtocol(PlainReader):
    """One connection.

    It notes where it is, between messages, in a head or in a body, and since when. The edge looks at that now and then,
    see :meth:`check`, so that no request pays for a timer.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._edge: Edge = app_state["app"].edge
        self.url, self._is_surplus = b"", False  # what is no HTTP is answered, too
        self._earlier: list[RequestResponseCycle] = []  # than the newest one
        self._is_reading = self._is_in_head = self._is_refusing = self._is_turned_away = False
        self._is_ending = self._is_held_up = False
        self._received = self._body = self._promised = 0  # bytes of this message, of its body, and of its whole body
        self._since = self._edge.clock()  # when this message began, or the last answer ended
        self._unread, self._taken, self._taken_since = 0, 0, self._since  # bytes of answers, by what the client took

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._writer = _Writer(transport)
        connections = self._edge.connections
        if connections.is_full:
            transport.abort()
        else:
            self._is_surplus = not connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.connections.remove(self)
        self._edge.unread.release(self)
        super().connection_lost(exc)
        for cycle in self._unanswered():
            cycle.disconnected = True
            cycle.message_event.set()
            _ticket(cycle).abandon()
        while self.pipeline:
            _ticket(self.pipeline.pop()[0]).release(answered=False)  # what waited for its turn never starts

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._received > _LONGEST_HEAD and self._is_reading:
            if self._is_in_head:
                self._break_off(self._edge.long_head)
            elif self._received > _MOST_AROUND + _AROUND_EACH * self._body:
                self._break_off(self._edge.hollow)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_reading = self._is_in_head = True
        self._is_refusing = self._is_ending or self.transport.is_closing()
        self._received = self._body = self._promised = 0
        self._since = self._edge.clock()
        self._note_taken()

    def on_head(self) -> None:
        self._is_in_head = False
        if self._is_refusing:
            return
        target = target_of(self.parser.get_method(), self.url)
        if len(self.pipeline) < _MOST_PIPELINED:
            admitted = self._edge.admit(target, cast(Scope, self.scope), self._is_surplus)
        else:
            admitted = self._edge.pipeline
        if isinstance(admitted, Refusal):
            self._refuse(admitted, target)
            return
        self.scope["state"]["ticket"] = admitted
        self._earlier = self._unanswered()
        try:
            self.start()
        except BaseException:
            admitted.release(answered=False)  # a URL that uvicorn cannot read: there is no task to do it
            raise
        self.cycle.transport = cast(asyncio.Transport, self._writer)  # which uses no more of it

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._is_refusing:
            return
        if self._body > _SMALL_BODY and self._is_answering() and not self._has_room():
            self._turn_away(self._edge.no_memory)
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_upgrading:
            return
        self._is_reading = False
        if self._is_turned_away:
            self.transport.close()
        elif not self._is_refusing:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._since = self._edge.clock()
        self._unread = self.transport.get_write_buffer_size()
        if self.flow.write_paused and not self.transport.is_closing():
            # Nothing more is asked for a client, or read of it, before it has taken what it asked for.
            self._is_held_up = True
            self.flow.pause_reading()
        else:
            super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._edge.unread.hold(self, max(self._writer.last, self.transport.get_write_buffer_size()))

    def resume_writing(self) -> None:
        super().resume_writing()
        self._edge.unread.release(self)
        if self._is_held_up:
            self._is_held_up = False
            super().on_response_complete()

    def cut_off(self) -> None:
        """End the connection at once: there is no room for what its client does not take."""
        self._edge.count(self._edge.unread_answer)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn calls it
        self._break_off(self._edge.not_http)

    def check(self, now: float) -> None:
        """Cut the connection off if its client is too slow, or says nothing.

        It is given some seconds to send a request, and one more for each so many bytes of it; of an answer it must take
        as many bytes in as much time.
        """
        config = self._edge.config
        self._note_taken()
        if not self._unread:
            self._taken, self._taken_since = 0, now
        elif now - self._taken_since > config.client_seconds:
            if self._taken < config.client_rate * config.client_seconds:
                self._edge.count(self._edge.slow_client)
                self.transport.abort()
                return
            self._taken, self._taken_since = 0, now
        if self.flow.read_paused:
            self._since = now  # it is not the client that is slow
        if self._is_reading:
            if now - self._since > config.client_seconds + self._received / config.client_rate:
                self._break_off(self._edge.slow_client)
        elif not self._unread and not self._is_answering() and now - self._since > config.idle_seconds:
            self.transport.close()

    def _note_taken(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._taken += self._unread - unread
        self._unread = unread

    def _has_room(self) -> bool:
        """Whether there is room for what came of the body and for all that is announced.

        Several that were let in bit by bit would together leave room for none of them.
        """
        if self._body <= self._promised:
            return True
        announced = _content_length(self.cycle.scope["headers"])
        to_come = announced if announced <= self._edge.config.largest_body else 0
        already, self._promised = self._promised, max(self._body, to_come)
        return _ticket(self.cycle).hold(self._promised - already)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _unanswered(self) -> list[RequestResponseCycle]:
        """The requests that were admitted and are not answered: one, unless the client did not wait for its answer."""
        if not self._is_answering():
            return []
        return [*(cycle for cycle in self._earlier if not cycle.response_complete), self.cycle]

    def _is_leaving(self) -> bool:
        """Whether the server tells everybody to go elsewhere."""
        return any(name == b"connection" for name, _ in self.server_state.default_headers)

    def _refuse(self, refusal: Refusal, target: Target) -> None:
        """Answer at once, without having made anything of the request; what still comes of it is dropped."""
        self._is_refusing = True
        self._edge.count(refusal, target, self.parser.get_method().decode())
        if self._is_answering():
            self.cycle.keep_alive = False  # its answer would come before those of earlier requests: so it gets none
            self._is_ending = True
            return
        closes = refusal.closes or self.expect_100_continue or not self.parser.should_keep_alive() or self._is_leaving()
        closes = closes or self.flow.write_paused  # it does not even take refusals
        self._write(refusal, closes)
        if closes:
            self.transport.close()

    def _break_off(self, refusal: Refusal) -> None:
        """Answer, if nothing is answered yet, and end the connection in the middle of a request."""
        self._is_refusing, self._is_reading, self._is_in_head = True, False, False
        if self.transport.is_closing():
            return
        self._edge.count(refusal)
        self._answer_in_the_middle(refusal)
        self.transport.close()

    def _turn_away(self, refusal: Refusal) -> None:
        """The same, but drop what still comes of the request, in its time: where a connection ends while its client
        sends, the answer is lost with it.
        """
        self._edge.count(refusal)
        self._answer_in_the_middle(refusal)
        self._is_refusing = self._is_turned_away = True
        self.flow.resume_reading()

    def _answer_in_the_middle(self, refusal: Refusal) -> None:
        is_answering = self._is_answering()
        if not self.pipeline and not self._is_turned_away and not (is_answering and self.cycle.response_started):
            self._write(refusal, closes=True)
        if is_answering:
            self.cycle.disconnected = True  # at once: the connection ends when the client has taken the answer
            self.cycle.message_event.set()

    def _write(self, refusal: Refusal, closes: bool) -> None:
        path = unquote_to_bytes(self.url.partition(b"?")[0]).decode(errors="replace")
        request_id = self._edge.request_ids.of(cast(Scope, self.scope)["headers"] if self.scope else ())
        method = self.parser.get_method()
        headers = self.server_state.default_headers
        self._writer.write(refusal.answer(path, request_id, headers, closes, has_body=method != b"HEAD"))


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """What a head that was read says; 0 where the body comes in chunks."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


def _ticket(cycle: RequestResponseCycle) -> Ticket:
    return cast(Ticket, cycle.scope["state"]["ticket"])
