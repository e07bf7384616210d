from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.ids import Ids, distinct, hashes_of
from service.catalog.strings import Strings

# Few letters, and lengths around those of one and two words, so that strings share beginnings.
TEXT = st.one_of(
    st.text("ab", max_size=18), st.text("aé漢😀", max_size=6), st.text(max_size=5).filter(lambda s: "\0" not in s)
)
TEXTS = st.lists(TEXT.filter(lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)), max_size=30)
UNIQUE = TEXTS.map(lambda texts: list(dict.fromkeys(texts)))


@given(TEXTS)
def test_strings_come_back_and_are_ordered_as_python_orders_them(texts: list[str]) -> None:
    strings = Strings.of(texts)
    assert [strings[number] for number in range(len(strings))] == texts == strings.many(np.arange(len(texts)))
    assert strings.many(strings.order()) == sorted(texts)
    assert strings.order().tolist() == sorted(range(len(texts)), key=lambda number: texts[number])


@given(st.lists(st.tuples(TEXTS, st.randoms(use_true_random=False)), max_size=3))
def test_gathered_strings_are_the_chosen_ones(parts: list[tuple[list[str], object]]) -> None:
    chosen, expected = [], []
    for texts, random in parts:
        numbers = [random.randrange(len(texts)) for _ in range(2 * len(texts))]  # type: ignore[attr-defined]
        chosen.append((Strings.of(texts), np.array(numbers, dtype=np.int64)))
        expected += [texts[number] for number in numbers]
    gathered = Strings.gather(chosen)
    assert [gathered[number] for number in range(len(gathered))] == expected


def test_more_strings_than_are_copied_at_a_time() -> None:
    texts = [f"{number:x}" for number in range(40_000)]
    backwards = np.arange(len(texts))[::-1]
    assert Strings.gather([(Strings.of(texts), backwards)]).many(np.arange(len(texts))) == texts[::-1]


@given(TEXTS, TEXTS)
def test_strings_are_equal_where_they_are(first: list[str], second: list[str]) -> None:
    one, two = Strings.of(first), Strings.of(second)
    ones, twos = (array.ravel() for array in np.meshgrid(np.arange(len(one)), np.arange(len(two))))
    expected = [first[left] == second[right] for left, right in zip(ones, twos, strict=True)]
    assert one.equal(ones, two, twos).tolist() == expected


@given(UNIQUE, TEXTS, st.integers(1, 3))
def test_an_id_is_found_in_its_slot_and_no_other_is(texts: list[str], others: list[str], times: int) -> None:
    ids = Ids.of(texts)
    wanted = [*texts, *others] * times * 3  # few are looked up one by one, many together
    expected = [texts.index(text) if text in texts else -1 for text in wanted]
    assert ids.find(wanted).tolist() == expected
    assert [ids.slot(text) for text in wanted] == [None if slot < 0 else slot for slot in expected]


@pytest.mark.parametrize("count", [3, 100])
def test_ids_whose_hashes_clash_are_told_apart(count: int) -> None:
    texts = [f"id {number}" for number in range(count)]
    clashing = Ids.build(Strings.of(texts), np.full(count, hash("id 2"), dtype=np.int64))
    assert clashing.slot("id 2") == 2
    wanted = Strings.of([*texts, "none"])
    same = np.full(count + 1, hash("id 2"), dtype=np.int64)
    assert clashing.find_strings(wanted, same).tolist() == [*range(count), -1]


@given(st.lists(st.tuples(UNIQUE, st.randoms(use_true_random=False)), max_size=3))
def test_gathered_ids_are_found(parts: list[tuple[list[str], object]]) -> None:
    chosen, expected = [], []
    for number, (texts, random) in enumerate(parts):
        own = [f"{number}{text}" for text in texts]
        slots = random.sample(range(len(own)), len(own) // 2)  # type: ignore[attr-defined]
        chosen.append((Ids.of(own), np.array(slots, dtype=np.int64)))
        expected += [own[slot] for slot in slots]
    gathered = Ids.gather(chosen)
    assert gathered.many(np.arange(len(gathered))) == expected
    assert [gathered.slot(text) for text in expected] == list(range(len(expected)))
    assert gathered.by_slot().tolist() == hashes_of(expected).tolist()


@given(TEXTS, st.booleans())
def test_of_equal_strings_the_first_stays(texts: list[str], clash: bool) -> None:
    hashes = np.array([len(text) if clash else hash(text) for text in texts], dtype=np.int64)
    first, which = distinct(Strings.of(texts), hashes)
    unique = list(dict.fromkeys(texts))
    assert first.tolist() == [texts.index(text) for text in unique]
    assert which.tolist() == [unique.index(text) for text in texts]
    assert all(left < right for left, right in pairwise(first.tolist()))
