"""Results as they cross to disk."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Immutable; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
