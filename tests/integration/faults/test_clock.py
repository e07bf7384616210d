"""The clock is set ahead and back while the service and its Redis are at work: nobody notices."""

import ctypes.util
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
import redis

from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import ServiceProcess
from tests.integration.faults.shop import KEYS, TOOLS, assert_stored, details, metric, put, put_one, recommended
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter
from training.local_service import serve_adapter

HOUR, DAY = 3600, 24 * 3600

# Between a program and the system: the clock that can be set is as many seconds ahead as a file says.
CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *ahead;

__attribute__((constructor)) static void open_file(void) {
    int file = open(getenv("CLOCK_FILE"), O_RDONLY);
    ahead = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = syscall(SYS_gettimeofday, now, zone);
    if (!failed && ahead) now->tv_sec += *ahead;
    return failed;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """The clock of the processes that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self.file, library = folder / "ahead", folder / "clock.so"
        self.file.write_bytes(bytes(mmap.PAGESIZE))
        (folder / "clock.c").write_text(CLOCK)
        command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(folder / "clock.c")]
        subprocess.run(command, check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self.file)}

    def set(self, seconds_ahead: int) -> None:
        with self.file.open("r+b") as file:
            os.pwrite(file.fileno(), struct.pack("l", seconds_ahead), 0)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if not shutil.which("gcc") or not ctypes.util.find_library("c"):
        pytest.skip("a clock that can be set needs gcc")
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def service(store: TinyStore, folder: Path, clock: Clock) -> Iterator[ServiceProcess]:
    with ServiceProcess(store.root, folder / "service", clock.environment) as service:
        service.until_ready()
        serve_adapter(service.http, "shop", store.adapter.path)
        assert put(service.http, TOOLS).status_code == 200
        yield service


def test_a_clock_that_is_set_ahead_and_back_changes_nothing(
    service: ServiceProcess, clock: Clock, store: TinyStore, redis_client: redis.Redis
) -> None:
    http, items = service.http, dict(TOOLS)
    with Load(lambda: service.url, recommend, clients=2) as load:
        for number, ahead in enumerate((HOUR, DAY, -DAY, 0, -HOUR)):
            clock.set(ahead)
            assert abs(redis_client.time()[0] - time() - ahead) < HOUR / 2  # it reads the clock that was set
            answered, item_id = load.answered, f"new-{number}"
            items[item_id] = f"new {number}"
            assert put_one(http, item_id, items[item_id]).status_code == 201
            assert put_one(http, "saw", TOOLS["saw"]).json()["status"] == "unchanged"
            wait_until(lambda answered=answered: load.answered > answered + 20, "recommending goes on")
            assert item_id in dict(recommended(http))
    load.assert_no_failure()
    # A Redis that waits by the clock that was set back does not end its wait: it is given up, and asked anew.
    wait_until(lambda: metric(http, "vqrec_redis_up") == 1, "Redis is asked again")
    service.until_well()
    changes = [entry for entry, _ in redis_client.xrange(KEYS.changes)]
    assert len(changes) == len(items)
    assert_stored(redis_client, store, store.load_adapter(), items)


def test_a_clock_that_is_set_keeps_no_swap_and_no_start_from_being_done(
    service: ServiceProcess, clock: Clock, store: TinyStore, full_size: bool
) -> None:
    if not full_size:
        pytest.skip("with --full-size")
    clock.set(DAY)
    other = write_tiny_adapter(store, seed=3, quantizer_seed=3)
    assert serve_adapter(service.http, "shop", other.path) == other.version
    served, answers = details(service.http)["items"], recommended(service.http)
    service.kill()
    clock.set(-DAY)  # before all that was written
    service.start()
    service.until_well()
    assert details(service.http)["items"] == served
    assert recommended(service.http) == answers
    assert put_one(service.http, "later", "later").status_code == 201
    assert "later" in dict(recommended(service.http))
