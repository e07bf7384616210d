from service.inference.fair_queue import FairQueue


def queue(**flows: int) -> FairQueue[str, int]:
    """A queue in which each flow has so many jobs: ``a0``, ``a1``, …"""
    made: FairQueue[str, int] = FairQueue(1000)
    for flow, count in flows.items():
        made.add(flow, {f"{flow}{number}": number for number in range(count)})
    return made


def test_one_flow_is_served_in_its_order() -> None:
    tested = queue(a=5)
    assert list(tested.take(3)) == ["a0", "a1", "a2"]
    assert list(tested.take(3)) == ["a3", "a4"]
    assert not tested


def test_flows_take_turns_job_by_job() -> None:
    assert list(queue(a=5, b=2, c=1).take(8)) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_the_turn_goes_on_where_it_was() -> None:
    tested = queue(a=3, b=3)
    assert [list(tested.take(1)) for _ in range(4)] == [["a0"], ["b0"], ["a1"], ["b1"]]


def test_a_flow_that_comes_late_waits_for_one_job_of_each_other() -> None:
    tested = queue(a=100)
    tested.take(1)
    tested.add("b", {"b0": 0})
    assert "b0" in tested.take(2)


def test_a_job_that_is_removed_is_not_taken() -> None:
    tested = queue(a=2, b=1)
    assert tested.remove("a", "a0")
    assert not tested.remove("a", "a0")
    assert tested.remove("b", "b0")
    assert not tested.remove("nobody", "a1")
    assert (len(tested), list(tested), list(tested.take(5))) == (1, ["a1"], ["a1"])


def test_the_first_of_each_flow_is_known() -> None:
    assert sorted(queue(a=3, b=2).firsts()) == [0, 0]


def test_a_flow_leaves_room_for_others_and_a_new_one_is_taken_whole() -> None:
    tested: FairQueue[str, int] = FairQueue(100)
    count = 0
    while tested.has_room("a", 1):
        tested.add("a", {f"a{count}": 0})
        count += 1
    assert count == 80
    assert tested.has_room("b", 30)
    tested.add("b", {f"b{number}": 0 for number in range(30)})
    assert not any(tested.has_room(flow, 1) for flow in "ab")
    assert not tested.has_room("c", 2)


def flooded(size: int, flows: int) -> FairQueue[object, int]:
    """A queue in which so many flows wait with all that they can get, by calls of many and calls of one."""
    made: FairQueue[object, int] = FairQueue(size)
    for flow in range(flows):
        for more in (100, 1):
            while made.has_room(flow, more):
                made.add(flow, {(flow, len(made) + number): 0 for number in range(more)})
    return made


def test_who_asks_little_is_taken_however_many_have_taken_all_they_can_get() -> None:
    tested = flooded(1024, flows=50)
    assert len(tested) > 1024
    assert not any(tested.has_room(flow, 1) for flow in range(50))
    assert tested.has_room("light", 4)
    assert not tested.has_room("light", 5)
    tested.add("light", {"light": 0})
    assert "light" in tested.take(51)


def test_what_floods_hold_together_is_bounded() -> None:
    assert len(flooded(1024, flows=50)) <= 1024 + 100 + 50 * 4


def test_an_empty_queue_has_room_for_any_call() -> None:
    assert FairQueue[str, int](2).has_room("a", 50)
