"""A partition of items into lists, so that the best items of a user lie in few of them.

k-means in two levels: a few wide clusters on a sample, then each of them on its own. What it keeps small is not the
distance between items and centroids but the error in users' scores: with M the second moment of user vectors, distances
are taken after a product with M^(1/4). (The loss would be M^(1/2)'s; half the exponent needs the fewest items for a
recall, since M is known from few users.) The idea is that of score-aware quantisation, Guo et al., ICML 2020.
"""

from dataclasses import dataclass
from math import sqrt

import faiss
import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.items import Vectors, unit_vectors
from service.inference.index.protocol import Scores
from service.inference.index.scoring import CodeScorer

Lists = npt.NDArray[np.int32]

_BLOCK = 1 << 16  # items whose vectors are held at a time
_SAMPLED = 128  # items a list that centroids are learned from
_FEWEST = 4  # items a list at least: centroids of fewer are the items themselves
_ITERATIONS = 8
_PROBES = 4  # wide clusters in which an item looks for its centroid
_EXPONENT = 0.25
_RIDGE = 0.5  # share of the mean that is added to M's eigenvalues: directions that few users happen to have still count
_SECOND_MOMENT_SAMPLE = 1 << 14


@dataclass(frozen=True, slots=True)
class PartitionConfig:
    """Args:
    num_lists: how many to make, about.
    threads: of FAISS and of what makes vectors.
    seed: of the sample and of k-means.
    """

    num_lists: int
    threads: int
    seed: int


def partition(table: CodeTable, codes: Codes, users: Scores | None, config: PartitionConfig) -> tuple[Lists, int]:
    """The list of each item, int32 [n], and how many lists there are.

    Args:
        table: what codes mean.
        codes: [n, D].
        users: float32 [m, width], whose scores shall be kept; None takes the items for users.
        config: of the partition.
    """
    scorer = CodeScorer.of(table, codes, threads=config.threads)
    rng = np.random.default_rng(config.seed)
    sample = np.sort(rng.permutation(len(codes))[: config.num_lists * _SAMPLED])
    if users is None or not len(users):
        users = _vectors(scorer, rng.permutation(len(codes))[:_SECOND_MOMENT_SAMPLE], config)
    warped = CodeScorer(
        scorer.layout, np.ascontiguousarray(scorer.rows @ _warp(users)), scorer.codes, scorer.inverse_norms
    )
    wide = _kmeans(_vectors(warped, sample[:: max(1, len(sample) // _BLOCK)], config), _num_wide(config), config)
    quantizer = faiss.IndexFlatL2(table.width)
    quantizer.add(wide)
    of_sample = _nearest(quantizer, warped, sample, config)
    index = faiss.IndexIVFFlat(quantizer, table.width, len(wide), faiss.METRIC_L2)
    index.nprobe = _PROBES
    for number in range(len(wide)):
        own = sample[of_sample == number]
        count = min(round(config.num_lists * len(own) / len(sample)), len(own) // _FEWEST)
        if count:
            index.add(_kmeans(_vectors(warped, own, config), count, config))
    if not index.ntotal:
        return np.zeros(len(codes), dtype=np.int32), 1
    num_lists: int = index.ntotal
    return _nearest(index, warped, np.arange(len(codes)), config), num_lists


def _num_wide(config: PartitionConfig) -> int:
    return max(1, round(sqrt(config.num_lists)))


def _warp(users: Scores) -> npt.NDArray[np.float32]:
    """M^(1/4) of users' second moment M: float32 [width, width]."""
    values, vectors = np.linalg.eigh((users.T @ users).astype(np.float64))
    values = np.maximum(values, 0) + _RIDGE * max(values.mean(), 1e-30)
    return np.asarray(vectors * (values / values.max()) ** _EXPONENT @ vectors.T, dtype=np.float32)


def _vectors(scorer: CodeScorer, items: npt.NDArray[np.int64], config: PartitionConfig) -> Vectors:
    return unit_vectors(scorer.rows, scorer.codes[items], scorer.inverse_norms[items], config.threads)


def _kmeans(vectors: Vectors, count: int, config: PartitionConfig) -> Vectors:
    """At most ``count`` centroids: float32 [count, width]."""
    faiss.omp_set_num_threads(config.threads)  # a setting of the calling thread alone
    clustering = faiss.Kmeans(
        vectors.shape[1], min(count, len(vectors)), niter=_ITERATIONS, seed=config.seed + 1,
        min_points_per_centroid=1, max_points_per_centroid=2 * _SAMPLED,
    )  # fmt: skip
    clustering.train(vectors)
    return np.asarray(clustering.centroids, dtype=np.float32)


def _nearest(index: faiss.Index, scorer: CodeScorer, items: npt.NDArray[np.int64], config: PartitionConfig) -> Lists:
    """The centroid nearest to each item: int32 [len(items)]."""
    faiss.omp_set_num_threads(config.threads)
    nearest = np.empty(len(items), dtype=np.int32)
    for start in range(0, len(items), _BLOCK):
        block = items[start : start + _BLOCK]
        nearest[start : start + _BLOCK] = index.search(_vectors(scorer, block, config), 1)[1][:, 0]
    return nearest
