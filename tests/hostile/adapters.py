"""All that is done to adapters, which anyone with the admin key can have a service read."""

from pathlib import Path

import numpy as np

from models.adapter import POPULARITY_FILE, TENSORS_FILE
from tests.hostile.damage import (
    Damage,
    Hostile,
    change_manifest,
    change_tensors,
    file_damages,
    one_tensor,
    said,
    vouching,
    without,
    wrong_arrays,
)
from tests.hostile.files import POPULARITIES, TENSOR_FILES
from tests.hostile.manifests import MANIFESTS


def _adapter_tensors() -> dict[str, Hostile]:
    found: dict[str, Hostile] = {}
    for tensor in ("rotation", "centroids", "table"):
        for what, (change, fault) in wrong_arrays().items():
            found[f"{tensor} {what}"] = Hostile(one_tensor(TENSORS_FILE, tensor, change), fault)
        found[f"{tensor} missing"] = Hostile(
            change_tensors(TENSORS_FILE, lambda tensors, name=tensor: without(tensors, name)),  # type: ignore[misc]
            "must hold rotation, centroids and table",
        )
    found["table too large"] = Hostile(one_tensor(TENSORS_FILE, "table", lambda rows: rows * np.float32(1e30)), "table")
    found["a tensor more"] = Hostile(
        change_tensors(TENSORS_FILE, lambda tensors: {**tensors, "more": tensors["table"]}), "must hold"
    )
    found["a quantiser of no width"] = Hostile(
        change_tensors(
            TENSORS_FILE,
            lambda tensors: {
                **tensors,
                "rotation": tensors["rotation"][:, :0],
                "centroids": tensors["centroids"][..., :0],
            },
        ),
        "centroids",
    )
    found["another quantiser"] = Hostile(
        one_tensor(TENSORS_FILE, "centroids", lambda centroids: centroids + np.float32(1)), "quantiser"
    )
    return found


def _adapter_claims() -> dict[str, Hostile]:
    layouts: tuple[tuple[object, object], ...] = (
        (0, 8), (-4, 8), (4, 0), (4, 1), (4, -8), (5, 8), (3, 8), (4, 9), (8, 4), (1 << 40, 1 << 40), (4, 1 << 20),
        (2000, 8), (10**30, 8), (4.5, 8), ("four", 8), (None, 8), ([4], 8),
    )  # fmt: skip
    found = {
        f"layout {books} x {size}": Hostile(
            said(layout={"num_codebooks": books, "codebook_size": size}), "num_codebooks|codebook_size|the layout asks"
        )
        for books, size in layouts
    }
    claims: dict[str, tuple[str, dict[str, object]]] = {
        "another text width": ("manifest says 17", {"text_dim": 17}),
        "another width": ("manifest says 16 and 9", {"width": 9}),
        "a width of a million": ("manifest says 16 and 1048576", {"width": 1 << 20}),
        "a width beyond": ("adapter.width", {"width": (1 << 20) + 1}),
        "a layout with more": ("layout.more", {"layout": {"num_codebooks": 4, "codebook_size": 8, "more": 1}}),
        "another quantiser": ("quantiser", {"quantizer": "0" * 64}),
        "no backbone": ("adapter.backbone", {"backbone": None}),
        "a short backbone": ("adapter.backbone", {"backbone": "0" * 12}),
        "a domain that is a path": ("adapter.domain", {"domain": "../shop"}),
        "a domain of capitals": ("adapter.domain", {"domain": "SHOP"}),
        "a domain of no letters": ("adapter.domain", {"domain": ""}),
        "metrics that are NaN": ("metrics.test", {"metrics": {"test": {"recall@10": float("nan")}}}),
        "metrics that are text": ("metrics.test", {"metrics": {"test": "good"}}),
    }
    return {**found, **{f"claims {what}": Hostile(said(**claim), fault) for what, (fault, claim) in claims.items()}}


def _unnamed(name: str) -> Damage:
    def damage(path: Path) -> None:
        (path / name).unlink()
        change_manifest(path, lambda document: document["files"].pop(name))

    return damage


ADAPTERS: dict[str, Hostile] = {
    **MANIFESTS,
    **file_damages(TENSORS_FILE),
    **file_damages(POPULARITY_FILE),
    **{f"tensors: {what}": Hostile(vouching(TENSORS_FILE, data), TENSORS_FILE) for what, data in TENSOR_FILES.items()},
    **{
        f"popularity: {what}": Hostile(vouching(POPULARITY_FILE, data), POPULARITY_FILE)
        for what, data in POPULARITIES.items()
    },
    **_adapter_tensors(),
    **_adapter_claims(),
    **{
        f"no {name} in the manifest": Hostile(
            _unnamed(name),
            f"lacks the file {name}",
        )
        for name in (TENSORS_FILE, POPULARITY_FILE)
    },
}
