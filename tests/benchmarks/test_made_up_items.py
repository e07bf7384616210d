from itertools import islice

from benchmarks.made_up_items import MadeUpItems, Names, made_up_id


def test_an_id_leads_back_to_its_place() -> None:
    names = Names({1: "real", 3: "B000REAL12"})
    places = [0, 1, 3, 77, 999_999, 123_456_789]
    assert [names.place_of(names.id_of(place)) for place in places] == places
    assert names.id_of(1) == "real"


def test_ids_are_distinct_and_look_like_asins() -> None:
    ids = [made_up_id(place) for place in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 10 and each.isalnum() for each in ids)


def test_a_longer_catalogue_begins_like_a_shorter_one() -> None:
    items = MadeUpItems(Names({}), ["a brass screw", "a steel bolt", "a nut"])
    assert list(islice(items.records(70_000), 100)) == list(items.records(100))
    assert len({item_id for item_id, _ in items.records(70_000)}) == 70_000
