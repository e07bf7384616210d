"""The edge of the service: what it admits and refuses, one object a process, which all connections share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import Counter as Metric
from starlette.types import Scope as HttpScope

from models.errors import VqrecError
from service.edge.admission import BodyMemory, Lane, LaneConfig, Ticket
from service.edge.connections import Connections, UnreadAnswers
from service.edge.refusals import Refusal
from service.edge.routes import Target
from service.errors import BadRequestError, LongHeadError, OverloadedError, SlowClientError, UnauthenticatedError
from service.metrics import Metrics
from service.middleware import RequestIds
from service.security import Access, Caller, let_in, presented_key

log = structlog.get_logger("service.edge")

_BATCHES_AT_ONCE = 64  # calls of up to 256 requests each, whose histories the queue bounds
_OTHERS_AT_ONCE = 128  # few enough that the texts of one domain's bulks leave room in the text queue
_STRANGER, _STRANGERS_AT_ONCE = "stranger", 16  # who has no key, and asks for what the application must answer
_STRANGERS_BYTES = 1 << 20  # of their large bodies, which the application reads none of
_ROUND_SECONDS = 1.0  # between two looks at all connections, or a quarter of the shortest limit
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """The limits of the edge.

    Args:
        longest_wait: seconds that a recommendation may be expected to wait; see :class:`service.edge.admission.Lane`.
        fewest, most: recommendations in flight that are always admitted, and at most.
        connections: that are open at the same time; on those beyond nothing but health is asked.
        body_bytes: of large bodies that are in memory at the same time, and of answers that wait for their clients to
            take them; one may always be.
        largest_body: bytes; of one that announces more none are kept for what is to come, since it will be refused.
        client_seconds: in which a client sends its request or takes its answer, and one more for each ``client_rate``.
        idle_seconds: that a connection may be open without a request.
        client_rate: bytes a second.
        burst: how many times as many recommendations may be in flight while no queue stands.
    """

    longest_wait: float
    fewest: int
    most: int
    connections: int
    body_bytes: int
    largest_body: int
    client_seconds: float
    idle_seconds: float
    client_rate: float = 16_384.0
    burst: float = 8.0  # with the fewest of the defaults as many as HTTP clients open connections, mostly 100


class Edge:
    """Says of every connection and request whether there is room for it, and counts what is refused.

    Args:
        config: the limits.
        is_served: whether a domain of this name is served here; all other names share one part of each lane.
        access: the callers by key.
        metrics: where refusals are counted.
        clock: seconds.
    """

    def __init__(
        self,
        config: EdgeConfig,
        is_served: Callable[[str], bool],
        access: Access,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self.config, self.clock, self.request_ids = config, clock, RequestIds()
        self.surplus = Refusal("connections", OverloadedError("too many connections are open"), closes=True)
        self.no_memory = Refusal("body_memory", OverloadedError("too many large bodies are under way"), closes=True)
        self.long_head = Refusal("long_head", LongHeadError("the head of a request may have 32 KiB"), closes=True)
        self.not_http = Refusal("not_http", BadRequestError("this is not HTTP/1.1"), closes=True)
        self.hollow = Refusal("not_http", BadRequestError("the body comes in chunks that hold hardly any"), closes=True)
        self.pipeline = Refusal("pipeline", OverloadedError("too many requests wait on this connection"), closes=True)
        self.slow_client = Refusal("slow_client", SlowClientError("the request took too long to arrive"), closes=True)
        self.unread_answer = Refusal("unread_answer", SlowClientError("the answer was not taken"), closes=True)
        self._is_served, self._access, self._metrics = is_served, access, metrics
        self._memory, self.unread = BodyMemory(config.body_bytes), UnreadAnswers(config.body_bytes)
        self._of_strangers = BodyMemory(_STRANGERS_BYTES)
        lanes = (
            Lane("recommend", LaneConfig(config.fewest, config.most, config.longest_wait, config.burst), clock),
            Lane("batch", LaneConfig(_BATCHES_AT_ONCE, _BATCHES_AT_ONCE), clock),
            Lane("other", LaneConfig(_OTHERS_AT_ONCE, _OTHERS_AT_ONCE), clock),
            Lane(_STRANGER, LaneConfig(_STRANGERS_AT_ONCE, _STRANGERS_AT_ONCE), clock),
        )
        busy = OverloadedError("more is asked of this service than it can answer in time; try again in a moment")
        self._lanes = {lane.name: (lane, Refusal(f"{lane.name}_overload", busy)) for lane in lanes}
        self._refused: Counter[str] = Counter()
        self._counters: dict[tuple[str, str | None, str], tuple[Metric, ...]] = {}
        seconds = min(_ROUND_SECONDS, config.client_seconds / 4, config.idle_seconds / 4)
        self.connections = Connections(config.connections, seconds, clock, self._tell)
        metrics.connections.set_function(lambda: len(self.connections))
        for lane in lanes:
            metrics.in_flight.labels(lane.name).set_function(partial(getattr, lane, "in_flight"))

        metrics.unread_bytes.set_function(lambda: self.unread.taken)

    @property
    def body_bytes(self) -> int:
        """What large bodies take now."""
        return self._memory.taken

    def admit(self, target: Target, http: HttpScope, is_surplus: bool) -> Ticket | Refusal:
        """A ticket for a request, which must be released when it is answered, or how it is refused.

        Who may not ask is told before it takes a place: strangers use up no domain's part, and learn of none.

        Args:
            target: what is asked for; a question after the service's health is always admitted.
            http: the request, in which its caller is noted.
            is_surplus: whether it came over a connection beyond the limit.
        """
        if target.kind == "health":
            return Ticket(None, "", False, self._memory)
        if is_surplus:
            return self.surplus
        caller: Caller | None = self._access.anyone
        if self._access.asks_for_keys:
            try:
                caller = self._caller(target, http)
            except VqrecError as error:
                return Refusal(error.slug.replace("-", "_"), error)
        lane, refusal = self._lanes[target.kind if caller is not None else _STRANGER]
        share = target.domain if target.needed is not None and self._is_served(target.domain) else ""
        if not lane.admit(share):
            return refusal
        if target.needed is not None and caller is not None and caller is not self._access.anyone:
            let_in(http, caller, target.needed, target.domain)
        memory = self._memory if caller is not None else self._of_strangers
        return Ticket(lane, share, target.kind != "other", memory)

    def _caller(self, target: Target, http: HttpScope) -> Caller | None:
        """Whose key it is; None if it is nobody's and only the application can tell whether it needs one.

        Raises:
            UnauthenticatedError, ForbiddenError, RateLimitedError: see :func:`service.security.authorize`.
        """
        try:
            caller = self._access.caller(presented_key(http["headers"]))
        except UnauthenticatedError:
            if target.needed is not None:
                raise
            return None
        if target.needed is not None:
            caller.check(target.needed, target.domain)
        return caller

    def count(self, refusal: Refusal, target: Target | None = None, method: str = "") -> None:
        """Count a refusal: by its reason, and as a request that was answered if it is known which."""
        self._refused[refusal.reason] += 1
        route = target.route if target is not None else None
        key = refusal.reason, route, method if route and method in _METHODS else "ANY"  # a client may make up any
        counters = self._counters.get(key)
        if counters is None:
            counters = self._counters[key] = self._counters_of(refusal, *key[1:])
        for counter in counters:
            counter.inc()

    def _counters_of(self, refusal: Refusal, route: str | None, method: str) -> tuple[Metric, ...]:
        """What `labels` would look up for every refusal."""
        rejected = self._metrics.rejected.labels(refusal.reason)
        if route is None:
            return (rejected,)
        return rejected, self._metrics.requests.labels(method, route or "unknown", str(refusal.error.status))

    def _tell(self) -> None:
        """Log what was refused since the last time: a line for each would cost more than its answer."""
        refused, self._refused = self._refused, Counter()
        for reason, requests in refused.items():
            log.warning("requests-refused", reason=reason, requests=requests)
