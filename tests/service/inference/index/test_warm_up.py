"""Nothing is compiled once the service is ready."""

import subprocess
import sys

CODE = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from models.codes import CodeLayout
from models.table import CodeTable
from service.inference.index import best, blocks, items, kernels, nominees, scoring
from service.inference.index.choice import Arrangement, IndexConfig, build_index
from service.inference.index.warm_up import warm_up_kernels

def compiled():
    modules = (best, blocks, items, kernels, nominees, scoring)
    kernel = lambda value: isinstance(value, Dispatcher)
    return {(m.__name__, name): len(k.signatures) for m in modules for name, k in vars(m).items() if kernel(k)}

warm_up_kernels()
before = compiled()
rng = np.random.default_rng(0)
for layout in (CodeLayout(32, 256), CodeLayout(4, 8), CodeLayout(3, 1000)):
    table = CodeTable(layout, rng.standard_normal((layout.num_rows, 24)).astype(np.float32))
    stored = rng.integers(8, size=(900, layout.num_codebooks)).astype(layout.dtype).tobytes()
    codes = np.frombuffer(stored, dtype=layout.dtype).reshape(900, -1)  # which may not be written to
    for kind in ("flat", "ivf", "codes"):
        arrangement = Arrangement(kind, "", np.repeat(np.arange(9, dtype=np.int32), 100), 9)
        index = build_index(arrangement, table, codes, np.zeros(900, np.float32), IndexConfig(threads=2))
        index = index.under(table, np.ones(900, np.float32))
        users = np.asfortranarray(rng.standard_normal((6, 24)).astype(np.float32))
        for users in (users, users[:1]):
            for share in (0.01, 0.5, 1.0):
                index.search(users, 10, rng.random(900) < share, [np.arange(3)] * len(users))
        index.calibrated(users).search(users, 5)
        index.scores(users[0], np.arange(900)[::2])
assert sum(before.values()) > 10, before
changed = {name: (before[name], now) for name, now in compiled().items() if now != before[name]}
assert not changed, changed
"""


def test_after_the_warm_up_nothing_more_is_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
