"""Admin operations: kept in Redis for a day, and judged by what this process serves."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import structlog
from pydantic import TypeAdapter

from service.admin.schemas import OperationAnswer, State
from service.catalog.directory import DomainDirectory, WantedDomain
from service.catalog.keys import operation_key
from service.catalog.registry import Registry
from service.errors import DamagedChoiceError, RedisUnavailableError, UnknownOperationError
from service.redis_client import RedisClient

log = structlog.get_logger(__name__)

_SECONDS_KEPT = 24 * 3600


@dataclass(frozen=True, slots=True)
class Operation:
    """A choice of adapter on its way to being served."""

    id: str
    domain: str
    incarnation: str
    revision: int
    sha256: str
    state: State = "pending"
    progress: float = 0.0
    error: str | None = None

    @classmethod
    def of(cls, choice: WantedDomain) -> "Operation":
        return cls(choice.operation, choice.domain, choice.incarnation, choice.revision, choice.adapter.sha256)

    @property
    def is_final(self) -> bool:
        return self.state in ("succeeded", "failed")

    def succeeded(self) -> "Operation":
        return replace(self, state="succeeded", progress=1.0, error=None)

    def failed(self, error: str) -> "Operation":
        return replace(self, state="failed", error=error)

    def answer(self) -> OperationAnswer:
        return OperationAnswer(
            id=self.id,
            domain=self.domain,
            adapter_version=self.sha256[:12],
            state=self.state,
            progress=round(self.progress, 3),
            error=self.error,
        )


_JSON: TypeAdapter[Operation] = TypeAdapter(Operation)


class Operations:
    """The operations that this process took, and those of others as Redis tells them.

    It is a :class:`service.catalog.reconciler.SwapObserver`: the process that took an operation writes its outcome.

    Args:
        new_id: makes names for operations.
    """

    def __init__(
        self, redis: RedisClient, directory: DomainDirectory, registry: Registry, new_id: Callable[[], str]
    ) -> None:
        self._redis, self._directory, self._registry = redis, directory, registry
        self.new_id = new_id
        self._taken: dict[str, Operation] = {}
        self._being_chosen: set[str] = set()
        self._chosen: frozenset[str] = frozenset()  # before the last listing of domains

    def take(self, operation: Operation) -> None:
        """Follow an operation; before its choice is written, so that its outcome cannot be missed."""
        self._taken[operation.id] = operation
        self._being_chosen.add(operation.id)

    def chosen(self, operation_id: str) -> None:
        """Its choice was written, if it ever will be: from here on it is forgotten with its domain."""
        self._being_chosen.discard(operation_id)

    def drop(self, operation_id: str) -> None:
        """Forget one whose choice was not written."""
        self._taken.pop(operation_id, None)

    async def store(self, operation: Operation) -> Operation:
        """Write an operation that was taken as it is now, which may be served, or overtaken, already."""
        current = self._taken.get(operation.id) or await self._judged(operation)
        await self.write(current)
        return current

    async def write(self, operation: Operation) -> None:
        command = self._redis.commands.set(operation_key(operation.id), _JSON.dump_json(operation), ex=_SECONDS_KEPT)
        await self._redis.run(command)

    async def get(self, operation_id: str) -> Operation:
        """An operation as this process sees it.

        Raises:
            UnknownOperationError: if there is none, or it is older than a day.
        """
        operation = self._taken.get(operation_id)
        if operation is None:
            raw = await self._redis.run(self._redis.commands.get(operation_key(operation_id)))
            if raw is None:
                raise UnknownOperationError.of(operation_id)
            operation = _JSON.validate_json(raw)
        return operation if operation.is_final else await self._judged(operation)

    def listed(self, wanted: Collection[WantedDomain]) -> None:
        """Forget what was chosen for domains that are gone; of each call the domains were read after the one before."""
        there = {(choice.domain, choice.incarnation) for choice in wanted}
        self._forget(
            operation
            for operation in self._taken.values()
            if operation.id in self._chosen and (operation.domain, operation.incarnation) not in there
        )
        self._chosen = frozenset(self._taken.keys() - self._being_chosen)

    def progressed(self, wanted: WantedDomain, share: float) -> None:
        operation = self._taken.get(wanted.operation)
        if operation is not None and not operation.is_final:
            self._taken[operation.id] = replace(operation, state="running", progress=share)

    async def served(self, wanted: WantedDomain) -> None:
        await self._settle(wanted, None)
        self._forget_up_to(wanted, wanted.revision)

    async def failed(self, wanted: WantedDomain, error: str) -> None:
        await self._settle(wanted, error)
        self._forget_up_to(wanted, wanted.revision - 1)  # itself may be served yet, at another attempt

    def _forget_up_to(self, wanted: WantedDomain, revision: int) -> None:
        self._forget(
            operation
            for operation in self._taken.values()
            if (operation.domain, operation.incarnation) == (wanted.domain, wanted.incarnation)
            and operation.revision <= revision
        )

    def _forget(self, operations: Iterable[Operation]) -> None:
        for operation in list(operations):
            del self._taken[operation.id]

    async def _settle(self, wanted: WantedDomain, error: str | None) -> None:
        operation = self._taken.get(wanted.operation)
        if operation is None:
            return
        settled = operation.succeeded() if error is None else operation.failed(error)
        self._taken[operation.id] = settled
        try:
            await self.write(settled)
        except RedisUnavailableError:
            log.warning("operation-not-stored", operation=operation.id, state=settled.state)

    async def _judged(self, operation: Operation) -> Operation:
        """What became of an operation whose outcome nobody wrote down, e.g. since its process was restarted."""
        replica = self._registry.get(operation.domain)
        if replica is not None and replica.adapter.bundle.sha256 == operation.sha256:
            return operation.succeeded()
        try:
            wanted = await self._directory.get(operation.domain)
        except DamagedChoiceError:
            return operation  # nobody can tell
        if wanted is None or wanted.incarnation != operation.incarnation:
            return operation.failed("the domain was deleted")
        if wanted.revision > operation.revision and wanted.adapter.sha256 != operation.sha256:
            return operation.failed(f"the adapter {wanted.adapter.version} was chosen after it")
        return operation
