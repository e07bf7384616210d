"""What a caller is told of a domain."""

from pydantic import BaseModel, Field


class DomainSummary(BaseModel):
    """A domain as this process serves it."""

    domain: str
    items: int = Field(description="items served")
    adapter_version: str | None = Field(None, description="of the adapter that serves; none while it is loading")
    index: str | None = Field(None, description="the kind of index")
    memory_bytes: int | None = Field(None, description="what the catalogue takes, its index included")


class DomainDetails(DomainSummary):
    """All there is to say of a domain."""

    adapter_sha256: str | None = None
    wanted_version: str | None = Field(None, description="of the adapter that it shall have, where that is another")
    previous_version: str | None = Field(None, description="of the adapter that a rollback leads to")
    backbone: str | None = Field(None, description="sha256 of the backbone")
    quantizer: str | None = Field(None, description="sha256 of the quantiser that the codes are of")
    index_reason: str | None = Field(None, description="why the index is of its kind")
    index_recall: float | None = Field(
        None, description="share of the 50 nearest items that a search finds, measured; none where it finds all"
    )
    index_bytes_per_item: float | None = Field(None, description="of the index alone, codes included")
    index_memory_bytes: int | None = Field(None, description="that the index may take, as the service is configured")
    bytes_per_item: float | None = Field(None, description="of all that the catalogue takes")
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict, description="of the adapter, from its manifest")
    last_error: str | None = Field(None, description="why the wanted adapter is not served, or changes do not arrive")


class DomainList(BaseModel):
    domains: list[DomainSummary]
