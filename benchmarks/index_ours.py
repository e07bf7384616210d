"""The service's own indexes under test: built as a segment builds them."""

from dataclasses import replace

import numpy as np

from benchmarks.contender import Contender, K, Mask, Slots, Vectors, timed
from benchmarks.made_up_items import Names
from models.codes import Codes
from models.cpu import available_cpus
from service.catalog.attributes import AttributesBuilder
from service.catalog.calibration import likely_users
from service.catalog.columns import Columns
from service.catalog.ids import Ids
from service.catalog.snapshot import DomainSnapshot
from service.inference.index.choice import IndexConfig
from service.inference.index.codes import CodeIndex
from service.inference.index.ivf import IvfIndex
from service.inference.index.protocol import Kind, VectorIndex
from training.evaluate import ServedModel

# As the service has them. These users are made up from the catalogue: none is a query.
_USERS, _SEED = 256, 0
_PROBES = (1, 2, 4, 8, 16, 22, 32, 45, 64, 90, 128, 180, 256, 360, 512)
_SHARES = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.007,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
    0.07,
    0.1,
    0.15,
    0.2,
    0.25,
    0.35,
    0.5,
)


def our_index(kind: Kind, model: ServedModel, codes: Codes, names: Names) -> Contender:
    """An index over all items, built as the service builds a catalogue's, users to tune it to included.

    Args:
        kind: of the index.
        model: what codes mean, and the network that makes users of histories of items.
        codes: [n, D].
        names: of the items.
    """
    config = IndexConfig(kind=kind, memory_bytes=1 << 40, threads=available_cpus())
    columns = _columns(codes, names)
    network = model.backbone.network

    def make() -> DomainSnapshot:
        users = likely_users(model.adapter, network, columns, _USERS, _SEED)
        return DomainSnapshot.build(model.adapter, columns, config, users)

    snapshot, build = timed(make)
    index = snapshot.large.index
    order = np.empty(len(codes), dtype=np.int64)  # of each slot, its place
    order[snapshot.large.ids.find(columns.ids.many(np.arange(len(codes))))] = np.arange(len(codes))
    return Contender(
        f"vqrec {index.kind}",
        _efforts(index),
        _OurSearch(index, order),
        lambda allowed: _OurSearch(index, order, allowed[order]),
        build,
        index.nbytes,
    )


class _OurSearch:
    """A search of one of our indexes that answers in places instead of slots."""

    def __init__(self, index: VectorIndex, order: Slots, allowed: Mask | None = None) -> None:
        self._index, self._order, self._allowed, self._effort = index, order, allowed, 0

    def __call__(self, users: Vectors, k: int, effort: int) -> Slots:
        if effort != self._effort:
            self._index, self._effort = _with_effort(self._index, effort), effort
        slots = self._index.search(users, k, self._allowed)[1]
        return np.where(slots >= 0, self._order[slots], -1)


def _columns(codes: Codes, names: Names) -> Columns:
    """Items without attributes: none has a part in an index."""
    attributes = AttributesBuilder()
    for _ in range(len(codes)):
        attributes.add({})
    ids = Ids.of([names.id_of(place) for place in range(len(codes))])
    return Columns(ids, codes, attributes.attributes(), np.ones(len(codes), dtype=np.bool_))


def _efforts(index: VectorIndex) -> list[int]:
    """What calibration chose, and some below and above it; in items that are scored, or lists that are searched."""
    if isinstance(index, CodeIndex) and index.recall is not None:
        return sorted({index.scan_items, *(max(K, round(share * len(index))) for share in _SHARES)})
    if isinstance(index, IvfIndex):
        return sorted({index.probes, *(probes for probes in _PROBES if probes <= len(index.lists))})
    return [len(index)]


def _with_effort(index: VectorIndex, effort: int) -> VectorIndex:
    if isinstance(index, CodeIndex):
        return replace(index, scan_items=effort)
    return replace(index, probes=effort) if isinstance(index, IvfIndex) else index
