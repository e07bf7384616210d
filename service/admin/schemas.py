"""What the admin calls take and give."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.manifest import Sha256
from service.openapi import link_to
from service.strict_model import StrictModel

AdapterVersion = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
State = Literal["pending", "running", "succeeded", "failed"]

# For FastAPI(responses=…): where a choice that was accepted is followed.
ACCEPTED: Final[dict[str, Any]] = {
    "description": "Chosen; every replica converges on it",
    "headers": {"Location": {"description": "Of the operation.", "required": True, "schema": {"type": "string"}}},
    "links": {
        "operation": link_to("get_operation", operation_id="$response.body#/id"),
        "domain": link_to("get_domain", domain="$response.body#/domain"),
    },
}


class AdapterRequest(StrictModel):
    """Which adapter a domain shall be served with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"source": "adapters/outdoor/5e83764db627", "dry_run": True}]},
    )

    source: str = Field(
        min_length=1,
        max_length=2048,
        description="a path relative to the artifact root, or absolute and inside it; or an allowed URL",
    )
    sha256: Sha256 | None = Field(None, description="what the sha256 of its manifest.json must be")
    dry_run: bool = Field(False, description="check everything, change nothing")
    expected_version: AdapterVersion | None = Field(
        None, description="refuse unless this is the domain's adapter version now; null: unless there is no domain"
    )

    @property
    def expects_something(self) -> bool:
        return "expected_version" in self.model_fields_set


class OperationAnswer(BaseModel):
    """How a choice of adapter fares in the process that is asked."""

    id: str
    domain: str
    adapter_version: str
    state: State
    progress: float = Field(ge=0, le=1)
    error: str | None = None


class DryRunAnswer(BaseModel):
    """What the same call would do without ``dry_run``."""

    domain: str
    action: Literal["create", "replace", "nothing"]
    adapter_version: str
    sha256: str
    replaces: str | None = Field(None, description="the adapter version that is wanted now; none for a new domain")
    items: int = Field(description="items that would be served with it")
    codes_kept: bool = Field(description="whether the quantiser is the same, so that no item is quantised again")
