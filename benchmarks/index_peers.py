"""What a shop would search its item vectors with instead: FAISS flat, IVF, IVF-PQ and HNSW, and usearch.

Graphs take minutes to build at a million items, so every peer is built once and kept in the work folder, with what its
build took. To time builds anew, delete that folder.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import faiss as faiss_package
import numpy as np
from usearch.index import Index as UsearchIndex

from benchmarks.contender import Build, Contender, Mask, Search, Slots, Vectors, timed
from models.cpu import available_cpus

faiss: Any = faiss_package  # its stubs leave out parts of it

T = TypeVar("T")

LARGEST_WITH_PEERS = 2_000_000
"""Beyond it, vectors of width 300 and a copy of them in an index would fill the memory."""

_NEIGHBOURS = 32  # M of HNSW
_BUILD_EFFORT = 200  # efConstruction
_EFFORTS = (50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1400, 2000)
_PROBES = (1, 2, 4, 8, 16, 22, 32, 45, 64, 90, 128, 180, 256, 360, 512)
_TRAINING_ITEMS_PER_LIST = 64
# Vectors of width 300 in 30 parts of a byte each take about what a code takes.
_PQ_PARTS = 30

# Queries × width from which FAISS multiplies matrices, which on one thread is up to 5 times faster for a batch than its
# default. The service sets the same.
_BLAS_FROM = 1200


@dataclass(frozen=True)
class Workshop:
    """Where peers are built and kept, each method an index over vectors float32 [n, width] of length one.

    Args:
        folder: of the cache.
        key: what tells the vectors from others, e.g. the adapter's version and their number.
    """

    folder: Path
    key: str

    def flat(self, vectors: Vectors) -> Contender:
        """Every vector compared."""
        index, build = timed(lambda: _added(faiss.IndexFlatIP(vectors.shape[1]), vectors))

        def parameters(_: int, **options: object) -> object:
            return faiss.SearchParameters(**options)

        search = _FaissSearch(index, parameters)
        return Contender("FAISS flat", (0,), search, search.among, build, vectors.nbytes)

    def ivf(self, vectors: Vectors) -> Contender:
        """Lists by k-means, whole vectors in them."""
        return self._lists("FAISS IVF", vectors, "Flat")

    def ivf_pq(self, vectors: Vectors) -> Contender:
        """Lists by k-means, product-quantised residuals in them: the peer that takes about as little memory."""
        return self._lists("FAISS IVF-PQ", vectors, f"PQ{_PQ_PARTS}")

    def hnsw(self, vectors: Vectors) -> Contender:
        """FAISS's graph, whole vectors in it."""

        def make() -> "faiss.Index":
            index = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _BUILD_EFFORT
            return _added(index, vectors)

        def parameters(effort: int, **options: object) -> object:
            return faiss.SearchParametersHNSW(efSearch=effort, **options)

        index, build, size = self._kept("hnsw", make, faiss.write_index, faiss.read_index)
        search = _FaissSearch(index, parameters)
        return Contender("FAISS HNSW", _EFFORTS, search, search.among, build, size)

    def usearch(self, vectors: Vectors) -> Contender:
        """usearch's graph with the same two parameters; its Python package takes no filter."""

        def make() -> UsearchIndex:
            index = UsearchIndex(
                ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=_NEIGHBOURS, expansion_add=_BUILD_EFFORT
            )
            index.add(np.arange(len(vectors)), vectors, threads=available_cpus())
            return index

        def search(users: Vectors, k: int, effort: int) -> Slots:
            index.expansion_search = effort
            found = index.search(users if len(users) > 1 else users[0], k, threads=1)
            return np.asarray(found.keys).astype(np.int64).reshape(len(users), -1)

        index, build, size = self._kept("usearch", make, UsearchIndex.save, UsearchIndex.restore)
        return Contender("usearch HNSW", _EFFORTS, search, None, build, size)

    def _lists(self, name: str, vectors: Vectors, storage: str) -> Contender:
        lists = lists_for(len(vectors))

        def make() -> "faiss.Index":
            index = faiss.index_factory(vectors.shape[1], f"IVF{lists},{storage}", faiss.METRIC_INNER_PRODUCT)
            index.cp.spherical = True
            index.cp.min_points_per_centroid = 1  # else FAISS writes warnings to the terminal
            index.cp.max_points_per_centroid = _TRAINING_ITEMS_PER_LIST
            sample = np.random.default_rng(0).permutation(len(vectors))[: lists * _TRAINING_ITEMS_PER_LIST]
            index.train(vectors[np.sort(sample)])
            return _added(index, vectors)

        def parameters(probe: int, **options: object) -> object:
            return faiss.SearchParametersIVF(nprobe=probe, **options)

        kind = f"ivf{lists}-{storage.lower()}"
        index, build, size = self._kept(kind, make, faiss.write_index, faiss.read_index)
        probes = [probe for probe in _PROBES if probe <= lists]
        search = _FaissSearch(index, parameters)
        return Contender(name, probes, search, search.among, build, size)

    def _kept(
        self, kind: str, make: Callable[[], T], save: Callable[[T, str], object], load: Callable[[str], T | None]
    ) -> tuple[T, Build, int]:
        """The index, what its build took, and the bytes that it takes when it is written."""
        path = self.folder / f"{kind}-{self.key}"
        notes = path.with_suffix(".json")
        if not notes.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            faiss.omp_set_num_threads(available_cpus())
            index, build = timed(make)
            save(index, str(path))
            notes.write_text(json.dumps(asdict(build)))
            return index, build, path.stat().st_size
        there = load(str(path))
        if there is None:
            sys.exit(f"{path} cannot be read: delete it")
        return there, Build(**json.loads(notes.read_text())), path.stat().st_size


def lists_for(items: int) -> int:
    """The lists of an IVF index: the power of two nearest to four times the square root, as FAISS's guide advises."""
    return 1 << round(float(np.log2(4 * np.sqrt(items))))


def on_one_thread() -> None:
    """Let FAISS search on the calling thread alone."""
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM


class _FaissSearch:
    """A search of a FAISS index, of all its items or of those that are allowed."""

    def __init__(self, index: "faiss.Index", parameters: Callable[..., object], allowed: Mask | None = None) -> None:
        self._index, self._parameters, self._options = index, parameters, dict[str, object]()
        if allowed is not None:
            self._bits = np.packbits(allowed, bitorder="little")  # to which a selector keeps no reference
            self._options["sel"] = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))

    def __call__(self, users: Vectors, k: int, effort: int) -> Slots:
        slots: Slots = self._index.search(users, k, params=self._parameters(effort, **self._options))[1]
        return slots

    def among(self, allowed: Mask) -> Search:
        return _FaissSearch(self._index, self._parameters, allowed)


def _added(index: "faiss.Index", vectors: Vectors) -> "faiss.Index":
    index.add(vectors)
    return index
