"""What becomes of an admitted request's ticket while the application works for it."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from service.edge.admission import Ticket


class Admitted:
    """Releases the ticket of a request when it is answered, and ends what is broken off because nobody waits for it.

    Requests without a ticket, which came by another server than ours, pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ticket: Ticket | None = scope.get("state", {}).get("ticket")
        if ticket is None:
            await self._app(scope, receive, send)
            return
        try:
            if not ticket.is_abandoned or not ticket.can_be_dropped:
                ticket.task = asyncio.current_task()
                await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not ticket.is_abandoned:
                raise  # the service is stopping
        finally:
            ticket.release(answered=scope["state"].get("status") == 200)
