"""What bodies are read into: nothing is converted, nothing unknown is taken."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

MOST_FIELDS = 32
"""More than any object has that is read here, and few enough to name each one that is unknown."""


class StrictModel(BaseModel):
    """A part of a request. An object of very many fields is refused as a whole, and not for each of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, raw: Any) -> Any:  # noqa: ANN401  (anything may come from outside)
        check_fields(raw)
        return raw


def check_fields(raw: object) -> None:
    """Raises PydanticCustomError."""
    if isinstance(raw, dict) and len(raw) > MOST_FIELDS:
        raise PydanticCustomError(
            "too_many_fields", "the object has {count} fields, most of them unknown", {"count": len(raw)}
        )
