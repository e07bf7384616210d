"""An answer as the bytes of its JSON document: written at once, since it was made here and needs no validation."""

from pydantic_core import to_json

from service.recommend.service import Answer


def answer_document(answer: Answer, request_id: str, domain: str, took_ms: float) -> dict[str, object]:
    """What :class:`service.recommend.schemas.RecommendResponse` describes."""
    return {
        "request_id": request_id,
        "domain": domain,
        "adapter_version": answer.adapter_version,
        "items": _items(answer),
        "unknown_history_items": answer.unknown_history_items,
        "fallback": answer.fallback,
        "took_ms": took_ms,
    }


def similar_document(answer: Answer, request_id: str, domain: str, took_ms: float) -> dict[str, object]:
    """What :class:`service.recommend.schemas.SimilarResponse` describes."""
    return {
        "request_id": request_id,
        "domain": domain,
        "adapter_version": answer.adapter_version,
        "items": _items(answer),
        "took_ms": took_ms,
    }


def json_bytes(document: object) -> bytes:
    """A document as JSON; what is no number becomes null, which JSON has a word for."""
    return to_json(document, inf_nan_mode="null")


def _items(answer: Answer) -> list[dict[str, object]]:
    items: list[dict[str, object]] = [
        {"item_id": item.item_id, "score": item.score, "source": item.source} for item in answer.items
    ]
    for item, found in zip(items, answer.items, strict=True):
        if found.attributes is not None:
            item["attributes"] = found.attributes
    return items
