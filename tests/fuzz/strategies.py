"""What calls are made of: ids of every script and length, texts, attributes of every kind, filters and histories."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

# Some ids come again and again, so that calls meet. The adapters count purchases of some of them.
FAMILIAR = (
    "B001",
    "B002",
    "B003",
    "A/1",
    "..",
    "a b?&#%2F",
    "Ünïcödé",
    "道具",
    "مطرقة",
    "🔨👩‍🔧",
    "items:bulk",
    "x/recommendations",
)
POPULARITY = {"B001": 3, "B002": 3, "A/1": 9, "道具": 1, "never put": 5}

_SIGNS = st.characters(exclude_categories=["Cs", "Cc"])
_WORDS = ("hammer", "claw", "saw", "plane", "vice", "oak", "steel", "red")
_LARGE = 10**30  # beyond what a machine calls an integer


def item_ids() -> st.SearchStrategy[str]:
    """Ids that an item may have; none ends in ``/similar``, since those cannot be read by GET."""
    strange = st.text(_SIGNS, min_size=1, max_size=256).filter(
        lambda name: name.strip() and not name.endswith("/similar")
    )
    return st.sampled_from(FAMILIAR) | st.sampled_from(FAMILIAR) | strange


def texts() -> st.SearchStrategy[str]:
    """Texts that can be read: mostly one of a few, so that items share codes and tie, else anything behind a word."""
    few = st.sampled_from(["red hammer", "claw hammer", "oak", "oak plane"])
    words = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map(" ".join)
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map("wood ".__add__)
    return few | few | words | anything


_LABELS = st.sampled_from(["a", "b", "A", "", "1", "true", "ß", "日本"]) | st.just("x").map(lambda sign: sign * 1000)
_NUMBERS = (
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, 5, 7.5, 2**53, 2**53 + 1, 2**63, -(2**64), 10**300, 1e300, 5e-324])
    | st.integers(-_LARGE, _LARGE)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_COMMON = st.sampled_from(["colour", "price"])
_NAMES = _COMMON | _COMMON | st.just("tags") | st.text(_SIGNS, min_size=1, max_size=64).filter(str.strip)
_BOUNDS = ("gt", "gte", "lt", "lte")
_SCALARS = st.sampled_from(["a", "b", 1, 5, True]) | _LABELS | st.booleans() | _NUMBERS


def attributes() -> st.SearchStrategy[dict[str, Any]]:
    """Whatever an item may have, or a price that others have too, at which a bound can lie."""
    priced = st.fixed_dictionaries({"price": st.sampled_from([1, 5, 5.0, 7.5])}, optional={"colour": _LABELS})
    return priced | st.dictionaries(_NAMES, _SCALARS | st.lists(_LABELS, max_size=4), max_size=4)


def alike(attributes: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The same attributes, or others that Python cannot tell from them: 1, 1.0 and true are three values."""
    of_numbers = {
        name: [like for like in (0, -0.0, False, 1, 1.0, True) if like == attributes[name]] for name in attributes
    }
    return st.fixed_dictionaries({name: _one_of([value, *of_numbers[name]]) for name, value in attributes.items()})


def changes() -> st.SearchStrategy[dict[str, Any]]:
    """Attributes of a patch: null deletes."""
    return st.dictionaries(_NAMES, st.none() | _SCALARS | st.lists(_LABELS, max_size=4), max_size=4)


def filters() -> st.SearchStrategy[dict[str, Any]]:
    """Filters that some items fulfil and some do not: mostly of one operator, on attributes that many items have."""
    return st.dictionaries(_NAMES, _conditions(_SCALARS, _NUMBERS), max_size=2)


def _conditions(scalars: st.SearchStrategy[Any], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(scalars, min_size=1, max_size=4)
    operators = dict.fromkeys(("any", "all", "none"), some) | dict.fromkeys(_BOUNDS, numbers)
    one = st.one_of([operand.map(lambda value, name=name: {name: value}) for name, operand in operators.items()])
    several = st.fixed_dictionaries({}, optional=operators).filter(bool)
    return scalars | some | one | one | several


def filters_for(catalogue: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Filters by what some item of a catalogue holds, given the attributes of each, and others often lack or exceed."""
    held: dict[str, list[Any]] = {"colour": ["a"]}
    for name, value in (pair for attributes in catalogue for pair in attributes.items()):
        held.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    condition = _one_of([*held]).flatmap(lambda name: st.tuples(st.just(name), _conditions_on(held[name])))
    return st.lists(condition, min_size=1, max_size=2).map(dict)


def _conditions_on(held: Sequence[Any]) -> st.SearchStrategy[Any]:
    numbers = [value for value in held if not isinstance(value, str | bool)]
    return _conditions(_mostly([*held, "a"], _SCALARS), _mostly([*numbers, 5], _NUMBERS))


def _one_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """As ``sampled_from``, but shown by hypothesis without the values, which may be many and long."""
    return st.integers(0, len(values) - 1).map(lambda place: values[place])


def _mostly(values: Sequence[Any], others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of these three times out of four; with ``|`` each of the others' own alternatives would count as much."""
    return st.integers(0, 3).flatmap(lambda drawn: _one_of(values) if drawn else others)


def items() -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of items without their id."""
    return st.fixed_dictionaries(
        {"text": texts()}, optional={"attributes": attributes(), "available": st.sampled_from([True, True, False])}
    )


def recommendation_requests() -> st.SearchStrategy[dict[str, Any]]:
    return _requests(item_ids(), filters())


def requests_for(catalogue: Mapping[str, Mapping[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Requests by the ids of a catalogue and the attributes of its items, mostly."""
    return _requests(known_ids(catalogue), filters_for(list(catalogue.values())))


def requests_at_edges(catalogue: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Requests whose answers show what is off by one: a bound at what items have, the very first of all excluded.

    Args:
        catalogue: the attributes of each item that can be recommended, the most popular first.
    """
    pairs = [pair for attributes in catalogue.values() for pair in attributes.items()]
    numbers = {name: value for name, value in pairs if not isinstance(value, str | bool | list)}
    popular: dict[str, Any] = {"history": [], "fallback": "popular"}
    return [
        *({**popular, "limit": limit, "exclude_item_ids": [*catalogue][:1]} for limit in (1, 3)),
        *(
            {**popular, "limit": 500, "filter": {name: {operator: numbers[name]}}}
            for name in [*numbers][:2]
            for operator in _BOUNDS
        ),
    ]


def known_ids(catalogue: Iterable[str]) -> st.SearchStrategy[str]:
    """Ids of a catalogue, mostly."""
    return _mostly([*catalogue, "never put"], item_ids())


def _requests(
    ids: st.SearchStrategy[str], wanted: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    entry = ids | ids.map(lambda item_id: {"item_id": item_id}) | texts().map(lambda text: {"text": text})
    optional = {
        "limit": st.integers(1, 4) | st.integers(1, 12) | st.just(500),
        "filter": wanted,
        "exclude_item_ids": st.lists(ids, max_size=8) | st.lists(ids, min_size=1, max_size=2),
        "exclude_history": st.booleans(),
        "return_attributes": st.booleans(),
    }
    history = st.lists(entry, max_size=20)
    return st.fixed_dictionaries(
        {"history": history | history | st.just([]), "fallback": st.sampled_from(["popular", "none"])},
        optional=optional,
    )


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can say."""
    scalars = st.none() | _SCALARS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6
    )
