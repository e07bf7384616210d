"""Large catalogues, scaled from the real text vectors of all domains so that the structure of neighbourhoods stays.

A new item is a real one moved part of the way towards one of its nearest neighbours, and then at random within the
space that its neighbours span, by a step drawn for that real item: tight families stay tight, loners stay loners.
``python -m benchmarks.scaled`` prints how close it comes: a quarter of the real catalogue, scaled to the whole one's
size, beside the whole one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.setting import Setting, read_setting
from models.codes import Codes
from models.cpu import available_cpus
from models.store import ArtifactStore
from training.evaluate import ServedModel
from training.histories import split_leave_one_out
from training.text_vectors import encode_texts

DOMAIN = "scientific"
"""Whose adapter codes the items and whose network makes the user vectors."""

DOMAINS = ("scientific", "office", "beauty", "toys", "sports")
SEED = 0
BLOCK = 65_536

_NEIGHBOURS = 32
_STEP = 0.8  # the median step at random, in distances of a neighbour
_STEP_SPREAD = 1.3  # standard deviation of its logarithm over the real items
_LONGEST_STEP = 1.3
_GATHER = 2_048  # vectors made at a time: bounds what is gathered to 2,048 * neighbours * text_dim float32
_USERS_PER_DOMAIN = 2_000
_QUERIES = 1_000
_RANKS = (1, 2, 5, 10, 50, 200)

T = TypeVar("T", bound=np.generic)
Vectors = npt.NDArray[np.float32]


def served_model(setting: Setting) -> ServedModel:
    """The adapter of ``DOMAIN`` in the setting's store, trained now if there is none, with its network and encoder."""
    store = ArtifactStore(setting.artifacts)
    return ServedModel.load(setting.adapter(setting.dataset(DOMAIN), DOMAIN, store))


def real_text_vectors(setting: Setting, model: ServedModel) -> npt.NDArray[np.float16]:
    """Text vectors of the items of all domains, in an order drawn by seed: float16 [about 50,000, text_dim]."""

    def make() -> npt.NDArray[np.float16]:
        parts = [encode_texts(setting.dataset(domain).texts, model.encoder, model.cache) for domain in DOMAINS]
        vectors = np.concatenate(parts)
        return vectors[np.random.default_rng(SEED).permutation(len(vectors))]

    return _cached(setting, f"text-{model.encoder.bundle.version}", make)


def scaled_text_vectors(setting: Setting, model: ServedModel, n: int) -> Iterator[npt.NDArray[np.float16]]:
    """The first ``n`` vectors of one endless catalogue, ``BLOCK`` at a time: float16 [BLOCK or fewer, text_dim].

    The real items come first, so that up to their number a catalogue is a sample of them and beyond it holds them all.
    """
    real = real_text_vectors(setting, model)
    yield from (real[start : min(start + BLOCK, n)] for start in range(0, min(n, len(real)), BLOCK))
    if n > len(real):
        around = _cached(setting, f"neighbours-{model.encoder.bundle.version}", lambda: _neighbours(real))
        yield from _new_vectors(real.astype(np.float32), around, n - len(real))


def scaled_codes(setting: Setting, model: ServedModel, n: int) -> npt.NDArray[np.uint8]:
    """Codes of the first ``n`` items under the model's own quantiser: uint8 [n, D]. Kept in the work folder."""
    quantizer = model.adapter.quantizer

    def make() -> npt.NDArray[np.uint8]:
        codes = np.empty((n, quantizer.layout.num_codebooks), dtype=np.uint8)
        start = 0
        for vectors in scaled_text_vectors(setting, model, n):
            codes[start : start + len(vectors)] = quantizer.encode(vectors)
            start += len(vectors)
            print(f"coded {start} of {n} items", flush=True)
        return codes

    return _cached(setting, f"codes-{quantizer.sha256[:12]}-{n}", make)


def real_users(setting: Setting, model: ServedModel, domains: Sequence[str] = (DOMAIN,)) -> Vectors:
    """User vectors of real test histories, up to 2,000 a domain, through the network: float32 [users, width].

    The items of all domains have codes of the model's own quantiser. The order is drawn by seed. The model was trained
    on ``DOMAIN`` alone; the users of the others are strangers to it, their vectors less decided and harder to search.
    """

    def make() -> Vectors:
        rng = np.random.default_rng(SEED)
        parts = []
        for domain in domains:
            dataset = setting.dataset(domain)
            histories = split_leave_one_out(dataset.histories).test.histories
            chosen = np.zeros(len(histories), dtype=np.bool_)
            chosen[rng.permutation(len(histories))[:_USERS_PER_DOMAIN]] = True
            parts.append(model.user_vectors(histories.of_users(chosen), model.encode_items(dataset.texts)))
        users = np.concatenate(parts)
        return users[rng.permutation(len(users))]

    return _cached(setting, f"users-{'-'.join(domains)}-{model.adapter.bundle.version}", make)


def real_places(setting: Setting, domain: str) -> npt.NDArray[np.int64]:
    """Where the items of a domain are in a scaled catalogue that holds all real items: int64 [the domain's items]."""
    counts = [len(setting.dataset(each).item_ids) for each in DOMAINS]
    place_of = np.argsort(np.random.default_rng(SEED).permutation(sum(counts)))
    start = sum(counts[: DOMAINS.index(domain)])
    return place_of[start : start + counts[DOMAINS.index(domain)]]


def main() -> None:
    setting = read_setting("scaled", __doc__ or "")
    model = served_model(setting)
    real = real_text_vectors(setting, model)
    quarter = real[: len(real) // 4]
    around = _neighbours(quarter)
    new = list(_new_vectors(quarter.astype(np.float32), around, len(real) - len(quarter)))
    rows = [
        ("a quarter of the real items", *_structure(quarter, model)),
        ("that quarter, scaled to all", *_structure(np.concatenate([quarter, *new]), model)),
        ("all real items", *_structure(real, model)),
    ]
    columns = ["catalogue", "items", *[f"cosine {rank}" for rank in _RANKS], "10 %", "90 %"]
    columns += ["shared codes", "bits a code index"]
    setting.report(columns, rows, {"10 % and 90 %": "percentiles of the cosine with the nearest neighbour"})
    for n in setting.items:
        codes = scaled_codes(setting, model, n)
        print(n, "items: share that share their code, bits a code index:", *_code_structure(codes))
    print("users", real_users(setting, model).shape, "and of all domains", real_users(setting, model, DOMAINS).shape)


def _new_vectors(real: Vectors, around: npt.NDArray[np.int32], n: int) -> Iterator[npt.NDArray[np.float16]]:
    """``n`` made-up vectors, each of the length of the real one that it was made from."""
    lengths = np.linalg.norm(real, axis=1, keepdims=True)
    spread = np.random.default_rng(SEED).standard_normal(len(real), dtype=np.float32)
    steps = np.minimum(_STEP * np.exp(_STEP_SPREAD * spread), _LONGEST_STEP).astype(np.float32)
    for number, start in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng([SEED, number])  # of the block alone, so that a longer catalogue begins the same
        origins = rng.integers(len(real), size=BLOCK)
        weights = _weights(rng, steps[origins])
        vectors = np.empty((min(BLOCK, n - start), real.shape[1]), dtype=np.float16)
        for first in range(0, len(vectors), _GATHER):
            part = slice(first, min(first + _GATHER, len(vectors)))
            weight, origin = weights[part], origins[part]
            moved = real[origin] * (1 - weight.sum(axis=1, keepdims=True))
            moved += np.matmul(weight[:, None, :], real[around[origin]])[:, 0]
            vectors[part] = moved * (lengths[origin] / np.linalg.norm(moved, axis=1, keepdims=True))
        yield vectors


def _weights(rng: np.random.Generator, steps: Vectors) -> Vectors:
    """How much of the way to each of its neighbours each vector goes: float32 [n, neighbours]."""
    noise = rng.standard_normal((len(steps), _NEIGHBOURS), dtype=np.float32)
    noise -= noise.mean(axis=1, keepdims=True)
    weights = noise * (steps / np.sqrt(_NEIGHBOURS))[:, None]
    towards = rng.integers(_NEIGHBOURS, size=len(steps))
    weights[np.arange(len(steps)), towards] += np.minimum(1, steps) * rng.random(len(steps), dtype=np.float32)
    return np.asarray(weights, dtype=np.float32)


def _neighbours(vectors: npt.NDArray[np.float16]) -> npt.NDArray[np.int32]:
    """The nearest other vectors of each by cosine: int32 [n, neighbours]."""
    found = _nearest(vectors, np.arange(len(vectors)), _NEIGHBOURS + 1)[1]
    return found[:, 1:].astype(np.int32)


def _nearest(
    vectors: npt.NDArray[np.float16], queries: npt.NDArray[np.int64], k: int
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Cosines and places of the ``k`` nearest to each query, itself among them."""
    wide = vectors.astype(np.float32)
    faiss.normalize_L2(wide)
    faiss.omp_set_num_threads(available_cpus())
    index = faiss.IndexFlatIP(wide.shape[1])
    index.add(wide)
    cosines, places = index.search(wide[queries], k)
    return cosines, places


def _structure(vectors: npt.NDArray[np.float16], model: ServedModel) -> tuple[float, ...]:
    """Items, the mean cosine at each rank, percentiles of the first, and what the codes are like."""
    queries = np.random.default_rng(SEED).permutation(len(vectors))[:_QUERIES]
    cosines = _nearest(vectors, queries, _RANKS[-1] + 1)[0]
    means = [float(cosines[:, rank].mean()) for rank in _RANKS]
    low, high = np.percentile(cosines[:, 1], (10, 90))
    return len(vectors), *means, float(low), float(high), *_code_structure(model.adapter.quantizer.encode(vectors))


def _code_structure(codes: Codes) -> tuple[float, float]:
    """The share of items that share their code, and the mean entropy of a code index in bits."""
    _, counts = np.unique(np.ascontiguousarray(codes).view(f"V{codes[0].nbytes}"), return_counts=True)
    entropies = []
    for book in codes.T:
        share = np.bincount(book)[np.unique(book)] / len(book)
        entropies.append(-(share * np.log2(share)).sum())
    return float(counts[counts > 1].sum() / len(codes)), float(np.mean(entropies))


def _cached(setting: Setting, name: str, make: Callable[[], npt.NDArray[T]]) -> npt.NDArray[T]:
    """What an earlier run left in the work folder, else what ``make`` gives, left there for the next."""
    path = setting.caches / f"{name}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.npy")
        np.save(unfinished, make())
        unfinished.replace(path)
    loaded: npt.NDArray[T] = np.load(path)
    return loaded


if __name__ == "__main__":
    main()
