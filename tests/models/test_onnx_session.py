"""How graphs are opened."""

import numpy as np
import pytest

from models.backbone import GRAPH_FILE
from models.errors import InvalidArtifactError
from models.onnx_session import open_session
from tests.tiny_models import WIDTH, TinyStore


@pytest.mark.parametrize("graph", [b"", b"garbage", b"\x08\x08", b"\x00" * 1000])
def test_what_is_no_graph_is_refused(graph: bytes) -> None:
    with pytest.raises(InvalidArtifactError, match="cannot be loaded"):
        open_session(graph, threads=1)


def test_a_graph_cut_short_is_refused(tiny: TinyStore) -> None:
    graph = tiny.backbone.read_bytes(GRAPH_FILE)
    with pytest.raises(InvalidArtifactError):
        open_session(graph[: len(graph) // 2], threads=1)


def test_a_graph_runs_with_the_threads_that_it_is_given(tiny: TinyStore) -> None:
    graph = tiny.backbone.read_bytes(GRAPH_FILE)
    inputs = {"vectors": np.ones((2, 3, WIDTH), dtype=np.float32), "lengths": np.array([3, 1], dtype=np.int64)}
    answers = []
    for threads in (1, 2):
        session = open_session(graph, threads)
        assert session.get_session_options().intra_op_num_threads == threads
        answers.append(session.run(None, inputs)[0])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
    assert answers[0].shape == (2, WIDTH)
