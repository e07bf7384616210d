"""Redis is away under load: recommending does not notice, ingest is told, and all is well soon after its return."""

import httpx
import pytest

from tests.integration.faults.conftest import Pair
from tests.integration.faults.load import Balancer, Load, recommend
from tests.integration.faults.processes import RedisProcess
from tests.integration.faults.shop import put, serves
from tests.integration.faults.waiting import wait_until


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("how", ["killed", "hung"])
def test_redis_is_away_for_a_while(pair: Pair, full_size: bool, how: str) -> None:
    first, _, redis = pair
    seconds = 60.0 if full_size else 2.0
    waits: list[str | None] = []

    def put_new(http: httpx.Client, url: str) -> httpx.Response:
        answer = http.put(f"{url}/v1/domains/shop/items/refused", json={"text": "new"})
        waits.append(answer.headers.get("retry-after"))
        return answer

    written = {f"{how}-{number}": f"{how} {number}" for number in range(100)}
    with Balancer(pair.services) as balancer, Load(balancer.url, recommend) as load:
        before = load.answered
        _take_away(redis, how)
        with Load(lambda: first.url, put_new, clients=2, pause=0.1) as feed:
            assert not load.failed.wait(seconds), load.failures
            wait_until(lambda: feed.answered > 0, "ingest was answered")
        assert feed.statuses.keys() == {503}, feed.failures
        assert all("redis-unavailable" in failure for failure in feed.failures)
        assert set(waits) == {"1"}
        for service in pair.services:
            wait_until(lambda service=service: service.readiness()[:2] == (200, "degraded"), "it says so")
        during = load.answered - before

        _bring_back(redis, how)
        caught_up = wait_until(
            lambda: put(first.http, written).is_success, f"ingest is taken again, {first.log[-500:]}"
        )
        caught_up += wait_until(
            lambda: all(serves(service.http, f"{how}-99") for service in pair.services), "both serve it"
        )
        caught_up += sum(service.until_well() for service in pair.services)
    load.assert_no_failure()
    print(f"\nRedis {how} for {seconds:g} s: {during} recommendations answered meanwhile, none failed;")
    print(f"{feed.answered} puts got 503 with Retry-After; all had caught up {caught_up:.2f} s after its return")
    assert caught_up < (5.0 if full_size else 60.0)


def _take_away(redis: RedisProcess, how: str) -> None:
    if how == "killed":
        redis.kill()
    else:
        redis.pause()


def _bring_back(redis: RedisProcess, how: str) -> None:
    if how == "killed":
        redis.start()
    else:
        redis.resume()
