"""Which message is taken next: in the order of recording over both topics, waiting for what is still to be read."""

from earlywarning.core.events import Decoded
from earlywarning.runtimes.kafka import merging
from earlywarning.runtimes.kafka.merging import Waiting
from earlywarning.runtimes.kafka.messages import Arrived

NOTHING = Decoded([], [], [])


def message(topic: str, offset: int, newest: float, code: str = "0901", *, history: bool = False, partition: int = 0) -> Arrived:
    return Arrived(topic, partition, offset, code, NOTHING, history, newest)


def _offsets(messages: list[Arrived]) -> list[tuple[str, int]]:
    return [(m.topic, m.offset) for m in messages]


def test_the_message_recorded_first_is_taken_first_and_of_equals_the_incident() -> None:
    waiting = Waiting()
    for m in (message("reports", 0, 5.0), message("incidents", 0, 7.0), message("reports", 1, 7.0), message("incidents", 1, 9.0)):
        waiting.add(m)
    order = [("reports", 0), ("incidents", 0), ("reports", 1), ("incidents", 1)]
    assert _offsets(waiting.ready(lambda _: True, 10)) == order
    assert len(waiting) == 0


def test_it_waits_while_the_other_topic_has_more_to_read_and_goes_on_at_its_end() -> None:
    waiting = Waiting()
    waiting.add(message("incidents", 0, 5.0))
    assert waiting.ready(lambda at: at[0] == "incidents", 10) == []
    waiting.add(message("reports", 0, 6.0))
    # The incident is the older one; behind it nobody knows what comes next of incidents.
    assert _offsets(waiting.ready(lambda _: False, 10)) == [("incidents", 0)]
    assert waiting.ready(lambda at: at[0] == "reports", 10) == []
    assert _offsets(waiting.ready(lambda _: True, 10)) == [("reports", 0)]


def test_another_municipality_does_not_hold_one_up_and_news_go_before_history() -> None:
    waiting = Waiting()
    waiting.add(message("incidents", 0, 1.0, "0901", history=True))
    waiting.add(message("reports", 0, 1.0, "0901", history=True))
    waiting.add(message("incidents", 1, 9.0, "0902"))
    waiting.add(message("reports", 1, 9.5, "0902"))
    taken = waiting.ready(lambda _: False, 10)
    assert [(m.municipality, m.topic) for m in taken] == [("0902", "incidents")]


def test_a_topic_that_has_paused_waits_for_the_other_one_that_is_read_on() -> None:
    """Otherwise the result would depend on which topic's messages happened to be fetched first."""
    waiting = Waiting()
    for offset in range(merging.MOST_WAITING):
        assert not waiting.full(("incidents", 0))
        waiting.add(message("incidents", offset, 10.0 + offset))
    assert waiting.full(("incidents", 0))
    assert waiting.ready(lambda _: False, 2) == []
    waiting.add(message("reports", 0, 5.0))
    assert _offsets(waiting.ready(lambda _: False, 2)) == [("reports", 0)]


def test_when_both_topics_have_paused_and_nothing_is_ready_it_goes_on_with_what_is_known() -> None:
    waiting = Waiting()
    for offset in range(merging.MOST_WAITING):
        waiting.add(message("incidents", offset, float(offset), "0901"))
        waiting.add(message("reports", offset, 10.0 + offset, "0902"))
    assert _offsets(waiting.ready(lambda _: False, 2)) == [("incidents", 0)]
    assert not waiting.full(("incidents", 0))


def test_at_most_so_many_of_one_municipality_are_taken_at_once() -> None:
    waiting = Waiting()
    for offset in range(5):
        waiting.add(message("incidents", offset, float(offset)))
    assert _offsets(waiting.ready(lambda _: True, 3)) == [("incidents", 0), ("incidents", 1), ("incidents", 2)]
    assert _offsets(waiting.ready(lambda _: True, 3)) == [("incidents", 3), ("incidents", 4)]
