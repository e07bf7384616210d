"""Replicas are restarted one after the other under load, and nobody notices."""

import signal
from itertools import count

import httpx
import pytest

from tests.integration.faults.conftest import Pair
from tests.integration.faults.load import Balancer, Load, recommend
from tests.integration.faults.processes import ServiceProcess
from tests.integration.faults.shop import serves
from tests.integration.faults.waiting import wait_until


@pytest.mark.timeout(2400)
def test_no_request_fails_while_replicas_are_restarted_one_by_one(pair: Pair, full_size: bool) -> None:
    numbers = count()

    def write(http: httpx.Client, url: str) -> httpx.Response:
        number = next(numbers) % 50
        return http.put(f"{url}/v1/domains/shop/items/new-{number}", json={"text": f"text {number}"})

    rounds = 5 if full_size else 1
    with (
        Balancer(pair.services) as balancer,
        Load(balancer.url, recommend, clients=6 if full_size else 3) as shoppers,
        Load(balancer.url, write, clients=2, pause=0.05) as feed,
    ):
        for service in pair.services * rounds:
            _restart(service)
    shoppers.assert_no_failure()
    feed.assert_no_failure({200, 201})
    told = f"{shoppers.answered} recommendations and {feed.answered} puts, none failed"
    print(f"\n{2 * rounds} restarts of one replica of two: {told}")


def test_a_second_signal_ends_the_waiting(pair: Pair) -> None:
    first, second, _ = pair
    second.terminate()
    wait_until(lambda: second.readiness()[1] == "stopping", "it says that it stops")
    second.terminate()
    second.wait()
    assert '"event":"draining"' in second.log.rpartition("Started server")[2].replace(" ", "")
    assert first.readiness()[0] == 200


def _restart(service: ServiceProcess) -> None:
    service.terminate()
    wait_until(lambda: service.readiness()[:2] == (503, "stopping"), "it says that it stops")
    answer = recommend(service.http, service.url)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert service.wait() == -signal.SIGTERM
    service.start()
    service.until_ready()
    wait_until(lambda: serves(service.http, "hammer"), "it serves the shop")
