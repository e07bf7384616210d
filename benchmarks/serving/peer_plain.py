"""A peer: the flat engine behind FastAPI, one request at a time, as one writes it first.

``python -m benchmarks.serving.peer_plain ADAPTER CATALOGUE PORT THREADS``
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.serving.flat_engine import FlatEngine

PATH = "/recommend"


class Question(BaseModel):
    history: list[str]
    limit: int = 10


class Item(BaseModel):
    item_id: str
    score: float


class Found(BaseModel):
    items: list[Item]


def main(adapter: str, catalogue: str, port: str, threads: str) -> None:
    engine = FlatEngine.load(Path(adapter), Path(catalogue), int(threads))
    app = FastAPI()

    @app.post(PATH)
    async def recommend(question: Question) -> Found:
        # On the event loop: handed to a thread it would take longer, and still be one request at a time.
        (answer,) = engine.recommend([question.history], question.limit)
        return Found(items=[Item(item_id=item_id, score=score) for item_id, score in answer])

    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
