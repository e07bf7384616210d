"""A service with keys and a domain, for tests of who may do what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.security.keys import digest_of
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore

BOUND, SLOW, BULKY = (f"{name}-key-that-is-long-enough-to-be-hashed" for name in ("bound", "slow", "bulk"))
KEYS = f"""
reader-key:read ingest-key:read,ingest
admin-key:read,ingest,admin
name=bound sha256={digest_of(BOUND).hex()} scopes=read,ingest,admin domains=shop,new
name=slow sha256={digest_of(SLOW).hex()} scopes=read,ingest rate=0.01 burst=3
name=bulk sha256={digest_of(BULKY).hex()} scopes=ingest rate=0.01 burst=1
"""
HISTORY = {"history": ["saw"]}
SHORT, LONG = "application/json", "application/json; charset=utf-8"  # the way beside the framework, and through it


@asynccontextmanager
async def guarded_service(store: TinyStore, folder: Path) -> AsyncIterator[RunningService]:
    """A service with keys and the domain ``other``, which some of the keys are not for."""
    settings = make_settings(store.root, folder, api_keys=KEYS)
    async with running_service(settings) as running:
        await running.until_ready()
        source = str(store.adapter.path.relative_to(store.root))
        path = "/v1/admin/domains/other/adapter"
        answer = await running.http.put(path, json={"source": source}, headers={"x-api-key": "admin-key"})

        async def served() -> bool:
            headers = {"x-api-key": "admin-key"}
            operation = (await running.http.get(answer.headers["location"], headers=headers)).json()
            return bool(operation["state"] == "succeeded")

        await until(served)
        running.http.headers["x-the-operation"] = answer.headers["location"]
        yield running
