"""What an artifact says of itself. Dimensions are written here and nowhere else; unknown keys are refused."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Size = Annotated[int, Field(ge=1, le=1 << 20)]

MOST_HISTORY = 1024
"""Items of a history that a network may read: memory and time for a batch grow with their square."""

TableKind = Literal["projected", "shared", "permuted"]
"""How a backbone gives a new domain its base table.

projected: a quantiser of the domain's own; a row is the projection of its centroid.
shared: the backbone's quantiser and table, as they are.
permuted: a quantiser of the domain's own; the backbone's table, whose rows a permutation of each codebook reorders.
"""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Strict):
    """One file of an artifact, as it must be found."""

    sha256: Sha256
    bytes: int = Field(ge=0)


class _Manifest(_Strict):
    format_version: Literal[1] = 1
    files: dict[FileName, FileEntry] = Field(default_factory=dict, max_length=16)
    made_with: dict[str, JsonValue] = Field(default_factory=dict)


class TextEncoderManifest(_Manifest):
    """``model.onnx``: token ids int64 [batch, tokens], no padding ─► text vectors float32 [batch, text_dim]."""

    kind: Literal["text-encoder"] = "text-encoder"
    name: str
    pooling: Literal["mean", "cls"]
    normalize: bool
    max_tokens: Size
    text_dim: Size


class TransformerArchitecture(_Strict):
    """The network of VQ-Rec; source: arXiv 2210.12316, and SASRec (arXiv 1808.09781) before it.

    ``output_map`` says that a linear map follows the last layer. Without one, a user vector is made of the vectors of
    what the user has, so that those are its nearest; the map can turn away from them.
    """

    type: Literal["transformer"] = "transformer"
    layers: int = Field(default=2, ge=1, le=64)
    heads: int = Field(default=2, ge=1, le=64)
    inner: Size = 256
    dropout: float = Field(default=0.5, ge=0, lt=1)
    output_map: bool = False


class LayoutManifest(_Strict):
    num_codebooks: int
    codebook_size: int


class BackboneManifest(_Manifest):
    """``network.onnx``: vectors float32 [batch, time, width], lengths int64 [batch] ─► float32 [batch, width].

    And what makes base tables, by ``tables``: ``projection.safetensors`` for projected ones; for the others
    ``base-table.safetensors`` of ``layout``, and with it, for shared ones, ``base-quantizer.safetensors``.
    """

    kind: Literal["backbone"] = "backbone"
    architecture: TransformerArchitecture
    width: Size
    max_history: int = Field(ge=1, le=MOST_HISTORY)
    similarity: Literal["cosine"] = "cosine"
    temperature: FiniteFloat = Field(gt=0)
    text_encoder: Sha256
    text_dim: Size
    tables: TableKind = "projected"
    layout: LayoutManifest | None = None

    @model_validator(mode="after")
    def _a_table_has_a_layout(self) -> Self:
        if (self.layout is None) != (self.tables == "projected"):
            raise ValueError(f"a backbone with {self.tables} tables has {'a' if self.layout is None else 'no'} layout")
        return self


class AdapterManifest(_Manifest):
    """``adapter.safetensors``: rotation, centroids, table; ``popularity.json``: item id and training interactions."""

    kind: Literal["adapter"] = "adapter"
    domain: DomainName
    layout: LayoutManifest
    text_dim: Size
    width: Size
    backbone: Sha256
    text_encoder: Sha256
    quantizer: Sha256
    metrics: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)


Manifest = Annotated[TextEncoderManifest | BackboneManifest | AdapterManifest, Field(discriminator="kind")]
