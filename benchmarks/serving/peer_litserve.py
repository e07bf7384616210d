"""A peer: the flat engine behind LitServe with its batching.

``python -m benchmarks.serving.peer_litserve ADAPTER CATALOGUE PORT THREADS WORKERS``
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import litserve

from benchmarks.serving.flat_engine import Answer, FlatEngine

PATH = "/predict"
LIMIT = 10
_BATCH = 32
_BATCH_SECONDS = 0.002


class FlatApi(litserve.LitAPI):  # type: ignore[misc]  # it ships no types
    """One worker's engine; LitServe collects the batches."""

    def __init__(self, adapter: Path, catalogue: Path, threads: int) -> None:
        super().__init__(max_batch_size=_BATCH, batch_timeout=_BATCH_SECONDS, api_path=PATH)
        self._adapter, self._catalogue, self._threads = adapter, catalogue, threads

    def setup(self, device: str) -> None:  # noqa: ARG002 - the interface's signature
        self._engine = FlatEngine.load(self._adapter, self._catalogue, self._threads)

    def decode_request(self, request: dict[str, Any]) -> list[str]:
        history: list[str] = request["history"]
        return history

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def predict(self, histories: Sequence[Sequence[str]]) -> list[Answer]:
        return self._engine.recommend(histories, LIMIT)

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        return output

    def encode_response(self, output: Answer) -> dict[str, object]:
        return {"items": [{"item_id": item_id, "score": score} for item_id, score in output]}


def main(adapter: str, catalogue: str, port: str, threads: str, workers: str) -> None:
    api = FlatApi(Path(adapter), Path(catalogue), int(threads))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(workers), fast_queue=True)
    server.run(host="127.0.0.1", port=int(port), log_level="warning", access_log=False, generate_client_file=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
