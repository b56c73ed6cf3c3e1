"""Keys and ids: deterministic, ordered, and no part of one can reach into another."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError
from core.models import Address
from core.store import keys

TIMES = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
IDS = st.text(max_size=40)
PARTS = st.text(alphabet="ab#%/é😀", max_size=6)


def ulid(external_id: str, sent_at: datetime, *, channel: str = "C1") -> str:
    return keys.message_ulid("slack", "T1", channel, external_id, sent_at)


@given(IDS, TIMES)
def test_a_message_has_one_ulid(external_id: str, sent_at: datetime) -> None:
    made = ulid(external_id, sent_at)
    assert made == ulid(external_id, sent_at)
    assert len(made) == 26
    assert made != ulid(external_id + "x", sent_at)
    assert made != ulid(external_id, sent_at, channel="C2")


def test_a_ulid_is_the_same_in_every_release() -> None:
    # A change here would answer every message in flight, and every redelivered one, a second time.
    sent_at = datetime(2026, 11, 3, 9, 30, 15, 250_000, tzinfo=UTC)
    assert keys.message_ulid("slack", "T1", "C1", "1793698215.250000", sent_at) == "01M6GBXDAJJ3QGENMVTDMK5C75"


@given(IDS, IDS, TIMES, st.integers(min_value=1, max_value=10**9))
def test_a_later_question_comes_after_the_reply_of_an_earlier_one(
    first_id: str, later_id: str, sent_at: datetime, milliseconds: int
) -> None:
    first = ulid(first_id, sent_at)
    later = ulid(later_id, sent_at + timedelta(milliseconds=milliseconds))
    assert keys.opening_ulid(first) < first < keys.reply_ulid(first) < keys.opening_ulid(later) < later


@given(IDS, IDS, TIMES)
def test_questions_of_one_moment_keep_their_replies_beside_them(
    first_id: str, other_id: str, sent_at: datetime
) -> None:
    first, other = ulid(first_id, sent_at), ulid(other_id, sent_at)
    if first == other:
        assert first_id == other_id
        return
    lower, upper = sorted([first, other])
    in_order = [place(question) for question in (lower, upper) for place in (keys.opening_ulid, str, keys.reply_ulid)]
    assert in_order == sorted(set(in_order))


@given(TIMES)
def test_a_reply_keeps_the_time_of_its_question(sent_at: datetime) -> None:
    made = ulid("x", sent_at)
    assert keys.reply_ulid(made)[:10] == made[:10]
    assert keys.preceding(keys.reply_ulid(made)) == made


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_a_time_that_no_ulid_can_hold_is_taken_as_the_nearest(year: int) -> None:
    made = ulid("x", datetime(year, 1, 1, tzinfo=UTC))
    assert keys.opening_ulid(made) < made < keys.reply_ulid(made)


def test_ids_carry_their_place() -> None:
    made = ulid("x", datetime(2026, 1, 1, tzinfo=UTC))
    assert keys.split_message_id(keys.message_id("cnv.m.odd", made)) == ("cnv.m.odd", made)
    assert keys.split_task_id(keys.task_id("cnv_1", made)) == ("cnv_1", made)
    assert keys.ulid_of(keys.message_id("cnv_1", made)) == keys.ulid_of(keys.task_id("cnv_1", made)) == made


@pytest.mark.parametrize(
    "wrong", ["", "cnv_1", "cnv_1.m.", ".m.01M6GBXDAJ2FSJ3WW7KH0HC6WX", "cnv_1.m.short", "cnv_1.x."]
)
def test_what_is_no_id_is_refused(wrong: str) -> None:
    with pytest.raises(PermanentError):
        keys.split_message_id(wrong)
    with pytest.raises(PermanentError):
        keys.split_task_id(wrong)


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_different_places_have_different_keys(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    def thread(parts: tuple[str, str, str]) -> keys.Key:
        company, channel, thread_id = parts
        address = Address(platform="slack", workspace_id="T1", channel_id=channel, thread_id=thread_id)
        return keys.thread_key(company, address)

    assert (thread(one) == thread(other)) == (one == other)
    assert (keys.workspace_key(*one[:2]) == keys.workspace_key(*other[:2])) == (one[:2] == other[:2])


@given(PARTS, PARTS)
def test_no_company_lies_within_another(company: str, other: str) -> None:
    if company != other:
        assert not keys.users_partition(company).startswith(keys.company_key(other)[0] + "#")
        assert keys.conversation_partition(company, "c") != keys.conversation_partition(other, "c")


@given(PARTS)
def test_a_part_of_a_key_is_read_back(part: str) -> None:
    sort_key = keys.day_counter_key("acme", datetime(2026, 1, 1, tzinfo=UTC).date(), part)[1]
    assert keys.unescape(sort_key.split("#")[3]) == part
