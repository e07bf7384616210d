"""An answer as the bytes of its JSON document: written at once, since it was made here and needs no validation."""

from pydantic_core import to_json

from service.inference.recommender import ScoredItem
from service.recommend.service import Answer


def answer_document(answer: Answer, request_id: str, domain: str, took_ms: float) -> dict[str, object]:
    """What :class:`service.recommend.schemas.RecommendResponse` describes."""
    return {
        **_head(answer, request_id, domain),
        "unknown_history_items": answer.unknown_history_items,
        "fallback": answer.fallback,
        "took_ms": took_ms,
    }


def similar_document(answer: Answer, request_id: str, domain: str, took_ms: float) -> dict[str, object]:
    """What :class:`service.recommend.schemas.SimilarResponse` describes."""
    return {**_head(answer, request_id, domain), "took_ms": took_ms}


def json_bytes(document: object) -> bytes:
    """A document as JSON; what is no number becomes null, which JSON has a word for."""
    return to_json(document, inf_nan_mode="null")


def _head(answer: Answer, request_id: str, domain: str) -> dict[str, object]:
    return {
        "request_id": request_id,
        "domain": domain,
        "adapter_version": answer.adapter_version,
        "items": [_item(item) for item in answer.items],
    }


def _item(item: ScoredItem) -> dict[str, object]:
    document: dict[str, object] = {"item_id": item.item_id, "score": item.score, "source": item.source}
    if item.attributes is not None:
        document["attributes"] = item.attributes
    return document
