import numpy as np

from benchmarks.contender import K, Mask, Question, Slots, Vectors, rate, searched
from models.codes import CodeLayout
from models.table import CodeTable

LAYOUT = CodeLayout(num_codebooks=4, codebook_size=16)


def _question(items: int, allowed: Mask | None = None) -> Question:
    rng = np.random.default_rng(0)
    table = CodeTable(LAYOUT, rng.standard_normal((LAYOUT.num_rows, 8), dtype=np.float32))
    codes = rng.integers(16, size=(items, 4)).astype(np.uint8)
    users = rng.standard_normal((5, 8), dtype=np.float32)
    return Question.ask(users / np.linalg.norm(users, axis=1, keepdims=True), codes, table, allowed)


def _best(question: Question, allowed: Mask | None = None) -> Slots:
    scores = question.users @ question.table.normalized(question.codes).T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return np.argsort(-scores, axis=1)[:, :K]


def test_the_exact_answer_has_recall_one_and_another_less() -> None:
    question = _question(400)
    exact = _best(question)
    assert question.recall(exact) == 1
    assert question.recall(np.where(np.arange(K) < K // 2, exact, -1)) == 0.5
    assert question.recall(np.broadcast_to(exact[:, :1], exact.shape)) < 0.2  # one item, fifty times


def test_recall_is_of_all_that_match_where_they_are_fewer() -> None:
    allowed = np.zeros(400, dtype=np.bool_)
    allowed[:20] = True
    question = _question(400, allowed)
    found = _best(question, allowed)
    found[:, 20:] = -1
    assert question.matching == 20
    assert question.recall(found) == 1


def test_searches_are_cut_into_batches_and_counted() -> None:
    sizes = []

    def search(users: Vectors) -> Slots:
        sizes.append(len(users))
        return np.zeros((len(users), 1), dtype=np.int64)

    users = np.zeros((70, 8), dtype=np.float32)
    assert len(searched(search, users, 32)) == 70
    assert sizes == [32, 32, 6]
    assert rate(search, users, 32, seconds=0.0) > 0
    assert set(sizes[3:]) == {32}
