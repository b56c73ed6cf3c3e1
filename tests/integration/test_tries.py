"""Messages that have fewer tries than deliveries: what was handed on has not failed, what failed is given up."""

import json

import pytest

from core import queues
from core.errors import RetryableError
from core.events import MessageReceived
from core.queues import Queue
from core.tries import HandedOnError
from tests.integration.lane import Lane, Record, read_event
from tests.integration.test_queues import client, lane

__all__ = ["client", "lane"]  # fixtures
_MOST_DELIVERIES = 8


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_LAST_WAITS", (0.0, 0.0))


def _queue(lane: Lane, *, dead_letters_url: str | None = None) -> Queue:
    """The lane's, with three tries in eight deliveries."""
    url = lane.dead_letters_url if dead_letters_url is None else dead_letters_url
    return Queue(lane.client, lane.url, _MOST_DELIVERIES, max_tries=3, dead_letters_url=url)


def _deliver(lane: Lane, seen: Record, received: int, tried: int | Exception | None = None) -> int:
    """One delivery of what is on the queue, by its count; how much was given back."""
    taken = lane.receive()
    for record in taken["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = str(received)

    def answer(_message: MessageReceived) -> int | None:
        if isinstance(tried, Exception):
            raise tried
        return tried

    return lane.consume(seen, event=taken, queue=_queue(lane), tried=answer)


def _bodies(lane: Lane) -> list[str]:
    """The texts on the dead-letter queue."""
    return [json.loads(record["body"])["text"] for record in read_event(lane.client, lane.dead_letters_url)["Records"]]


def test_what_is_handed_on_comes_again_at_once_with_what_stands_behind_it(lane: Lane) -> None:
    lane.publish("1", "2")
    lane.publish("other", conversation="C2")
    seen = Record("1", error=HandedOnError())
    assert _deliver(lane, seen, 3, tried=0) == 2
    assert sorted(seen.texts) == ["1", "other"]
    assert lane.wire.waits[-1] == (2, 0)
    assert _bodies(lane) == []


def test_what_is_handed_on_in_its_last_try_is_not_given_up(lane: Lane) -> None:
    lane.publish("1")
    seen = Record("1", error=HandedOnError())
    assert _deliver(lane, seen, 6, tried=2) == 1
    assert seen.deliveries[0].is_last
    assert not seen.deliveries[0].is_final
    assert _bodies(lane) == []


@pytest.mark.parametrize(("received", "tried"), [(3, None), (3, 2), (6, 2)])
def test_a_third_failure_goes_to_the_dead_letters_and_what_follows_goes_on(
    lane: Lane, received: int, tried: int | None
) -> None:
    lane.publish("bad", "good")
    seen = Record("bad")
    assert _deliver(lane, seen, received, tried) == 0
    assert seen.texts[-1] == "good"
    assert _bodies(lane) == ["bad"]
    assert lane.count() == 0


@pytest.mark.parametrize(("received", "tried"), [(1, None), (2, None), (3, 0), (5, 1), (7, 1)])
def test_what_has_tries_left_is_given_back(lane: Lane, received: int, tried: int | None) -> None:
    lane.publish("bad", "good")
    seen = Record("bad")
    assert _deliver(lane, seen, received, tried) == 2
    assert seen.texts == ["bad"]
    assert not seen.deliveries[0].is_last
    assert _bodies(lane) == []


def test_the_wait_after_a_failure_grows_with_the_failures_and_not_with_the_deliveries(lane: Lane) -> None:
    lane.publish("bad")
    _deliver(lane, Record("bad", error=RetryableError("later", "")), 6, tried=0)
    assert lane.wire.waits[-1] == (1, 5)


def test_the_queues_own_last_delivery_is_left_to_the_queue(lane: Lane) -> None:
    lane.publish("bad", "good")
    seen = Record("bad")
    assert _deliver(lane, seen, _MOST_DELIVERIES, tried=0) == 1
    assert seen.texts == ["bad", "good"]
    assert seen.deliveries[0].is_final
    assert _bodies(lane) == []


def test_what_was_tried_often_enough_without_a_word_is_not_tried_again(lane: Lane) -> None:
    lane.publish("poison", "good")
    seen = Record()
    assert _deliver(lane, seen, 4, tried=3) == 0
    assert seen.texts == []  # `good` was tried as often, by the same count
    assert _bodies(lane) == ["poison", "good"]


def test_a_count_that_is_higher_than_the_deliveries_is_of_an_earlier_life(lane: Lane) -> None:
    lane.publish("redriven")
    seen = Record("redriven")
    assert _deliver(lane, seen, 3, tried=7) == 0
    assert seen.texts == ["redriven"]
    assert _bodies(lane) == ["redriven"]


def test_nothing_is_given_up_while_the_tries_cannot_be_counted(lane: Lane) -> None:
    lane.publish("bad")
    assert _deliver(lane, Record("bad"), 7, tried=RetryableError("table-unavailable", "")) == 1
    assert _bodies(lane) == []


def test_what_never_was_the_first_of_its_group_has_its_tries_before_it(lane: Lane) -> None:
    lane.publish("slow", "unlucky")
    seen = Record("unlucky")
    assert _deliver(lane, seen, 6) == 1  # nobody knows of a try
    assert seen.texts == ["slow", "unlucky"]
    assert _bodies(lane) == []
    alone = Record("unlucky")
    assert _deliver(lane, alone, 7) == 0
    assert alone.texts == ["unlucky"] * 3  # now it may have failed before, or not
    assert _bodies(lane) == ["unlucky"]


def test_what_cannot_be_given_up_is_given_back(lane: Lane) -> None:
    lane.publish("bad", "good")
    taken = lane.receive()
    for record in taken["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = "3"
    seen = Record("bad")
    assert lane.consume(seen, event=taken, queue=_queue(lane, dead_letters_url=f"{lane.url}x")) == 2
    assert seen.texts == ["bad"]


def test_a_message_of_nobodys_contract_has_three_tries(lane: Lane) -> None:
    lane.put("no json")
    taken = lane.receive()
    taken["Records"][0]["attributes"]["ApproximateReceiveCount"] = "3"
    assert lane.consume(Record(), event=taken, queue=_queue(lane)) == 0
    [dead] = read_event(lane.client, lane.dead_letters_url)["Records"]
    assert dead["body"] == "no json"
    assert dead["attributes"]["MessageGroupId"] == taken["Records"][0]["attributes"]["MessageGroupId"]


def test_a_message_that_is_given_up_twice_is_one_dead_letter(lane: Lane) -> None:
    lane.publish("bad")
    taken = lane.receive()
    taken["Records"][0]["attributes"]["ApproximateReceiveCount"] = "3"
    for _ in range(2):  # the second time its processor died before it was removed
        lane.consume(Record("bad"), event=taken, queue=_queue(lane))
    assert _bodies(lane) == ["bad"]
