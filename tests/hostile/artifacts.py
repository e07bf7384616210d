"""Every damaged or hostile artifact that a reader must refuse, by the kind that it was made of."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from models.backbone import BASE_QUANTIZER_FILE, BASE_TABLE_FILE, GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from models.text_encoder import TOKENIZER_FILE
from tests.hostile.adapters import ADAPTERS
from tests.hostile.damage import (
    Damage,
    Hostile,
    Tensors,
    change_tensors,
    file_damages,
    one_tensor,
    said,
    vouching,
    without,
    wrong_arrays,
)
from tests.hostile.files import TENSOR_FILES
from tests.hostile.graphs import graphs
from tests.hostile.manifests import MANIFESTS
from tests.hostile.tokenizers import TOKENIZERS
from tests.tiny_models import TEXT_DIM

Cases = dict[str, Hostile]

# A backbone has marks for as many fingerprints as it likes.
_ALLOWED = {("item_marks", "short"), ("item_marks", "long"), ("item_marks", "empty"), ("item_marks", "missing")}


def _lacking(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: without(tensors, name)


def _files(*names: str) -> Cases:
    return {what: hostile for name in names for what, hostile in file_damages(name).items()}


def _tensor_files(*names: str) -> Cases:
    return {
        f"{name}: {what}": Hostile(vouching(name, data), name.split(".")[0].split("-")[0])
        for name in names
        for what, data in TENSOR_FILES.items()
    }


def _arrays(name: str, *tensors: str) -> Cases:
    found = {
        f"{name}: {tensor} {what}": Hostile(one_tensor(name, tensor, change), fault)
        for tensor in tensors
        for what, (change, fault) in wrong_arrays().items()
        if (tensor, what) not in _ALLOWED
    }
    missing = {
        f"{name}: {tensor} missing": Hostile(change_tensors(name, _lacking(tensor)), r"must hold|\[[\w, ]+\]")
        for tensor in tensors
        if (tensor, "missing") not in _ALLOWED
    }
    return {**found, **missing}


def _claims(**values: tuple[object, ...]) -> Cases:
    return {
        f"claims {key} {value!r:.40}": Hostile(said(**{key: value}), r"manifest\.json")
        for key, wrong in values.items()
        for value in wrong
    }


def _golden(**change: Callable[[Any], Any]) -> Damage:
    return change_tensors(
        GOLDEN_FILE,
        lambda tensors: {name: change.get(name, lambda array: array)(array) for name, array in tensors.items()},
    )


_GOLDEN = {
    **{f"without {name}": change_tensors(GOLDEN_FILE, _lacking(name)) for name in ("vectors", "lengths", "users")},
    "with more": change_tensors(GOLDEN_FILE, lambda tensors: {**tensors, "more": tensors["users"]}),
    "with no rows": _golden(vectors=lambda a: a[:0], lengths=lambda a: a[:0], users=lambda a: a[:0]),
    "with users to spare": _golden(users=lambda a: np.concatenate([a, a])),
    "with users too narrow": _golden(users=lambda a: a[:, :-1]),
    "with users that are others": _golden(users=lambda a: a[::-1]),
    "with users that are NaN": _golden(users=lambda a: np.full_like(a, np.nan)),
    "with users that are infinite": _golden(users=lambda a: np.full_like(a, np.inf)),
    "with vectors that are NaN": _golden(vectors=lambda a: np.full_like(a, np.nan)),
    "with vectors that are huge": _golden(vectors=lambda a: np.full_like(a, 3e38)),
    "with vectors too narrow": _golden(vectors=lambda a: a[..., :-1]),
    "with vectors that are a number": _golden(vectors=lambda _: np.float32(1)),
    "with vectors that are complex": _golden(vectors=lambda a: a * np.complex64(1j)),
    "with too few lengths": _golden(lengths=lambda a: a[:1]),
    "with lengths of nothing": _golden(lengths=lambda a: a * 0),
    "with negative lengths": _golden(lengths=lambda a: -a),
    "with half lengths": _golden(lengths=lambda a: a + 0.5),
    "with lengths in rows": _golden(lengths=lambda a: np.stack([a, a], axis=1)),
    "with lengths that are a number": _golden(lengths=lambda _: np.int64(1)),
}

_BACKBONES: Cases = {
    **_claims(
        architecture=("transformer", {"type": "oracle"}, {"type": "transformer", "layers": 1 << 40}),
        width=(0, -8, 1 << 40, "wide", [8]),
        max_history=(0, -1, 1 << 40, 10**30, float("nan")),
        similarity=("dot", None),
        temperature=(0, -1, float("nan"), float("inf"), "warm"),
        text_encoder=("0" * 63, "../" * 20, None),
        tables=("shared", "permuted", "round"),
        layout=({"num_codebooks": 4, "codebook_size": 8}, []),
    ),
    **MANIFESTS,
    **_files(GRAPH_FILE, GOLDEN_FILE, PROJECTION_FILE),
    **_tensor_files(GOLDEN_FILE, PROJECTION_FILE),
    **_arrays(PROJECTION_FILE, "weight", "bias", "item_marks"),
    **{f"a proof {what}": Hostile(damage, "golden|cannot be run") for what, damage in _GOLDEN.items()},
    **graphs(GRAPH_FILE),
}

_SHARED_BACKBONES: Cases = {
    **_claims(tables=("projected", "round"), layout=(None, {}, {"num_codebooks": 4})),
    **_files(BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
    **_tensor_files(BASE_TABLE_FILE, BASE_QUANTIZER_FILE),
    **_arrays(BASE_TABLE_FILE, "table"),
    **_arrays(BASE_QUANTIZER_FILE, "rotation", "centroids"),
}

_TEXT_ENCODERS: Cases = {
    **_claims(
        name=(None, 1),
        pooling=("max", None),
        normalize=("maybe", None),
        max_tokens=(0, -1, 1 << 40, 1.5),
        text_dim=(0, 1 << 40),
    ),
    **{
        f"claims a width of {width}": Hostile(said(text_dim=width), f"{width} finite")
        for width in (TEXT_DIM - 1, TEXT_DIM + 1, 1 << 20)
    },
    **MANIFESTS,
    **_files(TEXT_GRAPH_FILE, TOKENIZER_FILE),
    **graphs(TEXT_GRAPH_FILE),
    **TOKENIZERS,
}

HOSTILE: Final[Mapping[str, Cases]] = {
    "adapter": ADAPTERS,
    "backbone": _BACKBONES,
    "shared backbone": _SHARED_BACKBONES,
    "text encoder": _TEXT_ENCODERS,
}
