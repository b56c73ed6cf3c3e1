"""Failures on purpose, and the control side that scripts them from outside."""

import json
import threading
from urllib.parse import urlencode

import pytest
import urllib3

from local.fake_slack import DEMO, FailureMode, FakeSlack
from tests.unit.fake_slack.caller import STREAM, TS, Caller, Clock, at, each


def test_scripted_errors_come_in_their_turn_and_end(api: Caller, slack: FakeSlack) -> None:
    slack.fail_next("auth.test", error="ratelimited", retry_after=1, skip=1)
    slack.fail_next("auth.test", error="internal_error", http_status=500, times=2)
    answers = [api.raw("auth.test") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 429, 500, 500, 200]
    assert answers[1].headers["Retry-After"] == "1"
    assert [call.outcome for call in slack.calls] == ["ok", "ratelimited", "internal_error", "internal_error", "ok"]


def test_an_html_page_can_stand_where_json_belongs(api: Caller, slack: FakeSlack) -> None:
    slack.fail_next("auth.test", mode=FailureMode.HTML, http_status=503)
    answer = api.raw("auth.test")
    assert (answer.status, answer.data[:15]) == (503, b"<!DOCTYPE html>")


@pytest.mark.parametrize("effect_first", [False, True])
def test_a_lost_answer_leaves_the_caller_without_knowing_what_happened(
    api: Caller, slack: FakeSlack, effect_first: bool
) -> None:
    slack.fail_next("chat.postMessage", mode=FailureMode.DROP, effect_first=effect_first)
    with pytest.raises(urllib3.exceptions.HTTPError):
        api("chat.postMessage", channel=DEMO.channel_id, text="a")
    assert [message.text for message in slack.messages(DEMO.channel_id)] == ["a"] * effect_first
    [call] = slack.calls_to("chat.postMessage")
    assert (call.outcome, call.had_effect) == ("drop", effect_first)


def test_an_answer_can_take_longer_than_anyone_waits(slack: FakeSlack, http: urllib3.PoolManager) -> None:
    slack.fail_next("auth.test", mode=FailureMode.HANG)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        http.request("POST", slack.base_url + "auth.test", timeout=0.2)


def test_a_rate_limit_holds_for_each_channel_and_ends_with_time(api: Caller, slack: FakeSlack, clock: Clock) -> None:
    slack.limit_rate("chat.postMessage", 1, per_seconds=2, by_channel=True)
    posts = [(DEMO.channel_id, 200), (DEMO.channel_id, 429), (DEMO.dm_channel_id, 200)]
    answers = [api.raw("chat.postMessage", channel=channel, text="a") for channel, _ in posts]
    assert [answer.status for answer in answers] == [status for _, status in posts]
    assert answers[1].headers["Retry-After"] == "2"
    clock.now += 2
    assert api.raw("chat.postMessage", channel=DEMO.channel_id, text="a").status == 200


def test_calls_are_recorded_without_the_token(api: Caller, slack: FakeSlack) -> None:
    api.form("auth.test", token="xoxb-secret", x="1")
    [call] = slack.calls
    assert (call.method, call.arguments, call.team_id) == ("auth.test", {"x": "1"}, DEMO.team_id)


def test_bodies_slack_cannot_read_are_refused(slack: FakeSlack, http: urllib3.PoolManager) -> None:
    def error(body: bytes, kind: str | None) -> object:
        headers = {"Authorization": f"Bearer {DEMO.bot_token}"} | ({"Content-Type": kind} if kind else {})
        answer = http.request("POST", slack.base_url + "auth.test", body=body, headers=headers)
        return at(answer.json(), "error")

    assert error(b"{", "application/json") == "invalid_json"
    assert error(b"[]", "application/json") == "json_not_object"
    assert error(b"x", "application/pdf") == "invalid_post_type"
    assert error(b"x", None) == "missing_post_type"


def test_watching_a_thread_gives_each_change_as_it_comes(
    api: Caller, slack: FakeSlack, http: urllib3.PoolManager
) -> None:
    def watch(after: object, seconds: float) -> object:
        query = urlencode({"channel": DEMO.channel_id, "thread_ts": TS, "after": after, "timeout": seconds})
        return http.request("GET", f"{slack.url}/_fake/watch?{query}", timeout=10).json()

    assert at(watch(0, 0.05), "messages") == []
    later = threading.Timer(0.1, lambda: api.ts("chat.startStream", **STREAM, markdown_text="a"))
    later.start()
    first = watch(0, 5)
    later.join()
    assert each(first, "messages", key="text") == ["a"]
    assert each(first, "messages", key="is_streaming") == [True]
    api("assistant.threads.setStatus", channel_id=DEMO.channel_id, thread_ts=TS, status="is searching")
    assert at(watch(at(first, "after"), 5), "status") == "is searching"
    api.ts("chat.delete", channel=DEMO.channel_id, ts=str(at(first, "messages", 0, "ts")))
    assert each(watch(at(first, "after"), 5), "messages", key="is_deleted") == [True]


def test_the_control_side_adds_people_plays_them_and_scripts_failures(
    api: Caller, slack: FakeSlack, http: urllib3.PoolManager
) -> None:
    def post(name: str, body: dict[str, str | int | list[str]]) -> urllib3.BaseHTTPResponse:
        return http.request("POST", f"{slack.url}/_fake/{name}", body=json.dumps(body).encode())

    assert at(http.request("GET", f"{slack.url}/_fake/health").json(), "ok") is True
    assert (
        post("users", {"id": "U0EVE", "team": DEMO.team_id, "email": "eve@demo.example", "name": "eve"}).status == 200
    )
    assert post("messages", {"user": "U0EVE", "channel": DEMO.channel_id, "text": "hi"}).status == 200
    assert post("fail", {"method": "auth.test", "error": "ratelimited", "retry_after": 3}).status == 200
    assert post("fail", {"method": "auth.test", "mode": "explode"}).status == 400
    assert post("disable", {"methods": ["chat.startStream"]}).status == 200
    team = {"team_id": "T3", "team_name": "Three", "bot_token": "xoxb-3"}
    assert post("teams", {**team, "bot_user_id": "U3", "bot_id": "B3", "app_id": "A3"}).status == 200
    assert api.raw("auth.test").headers["Retry-After"] == "3"
    assert api.error("chat.startStream", **STREAM) == "unknown_method"
    assert at(Caller(slack, http, "xoxb-3")("auth.test"), "team_id") == "T3"
    seen = http.request("GET", f"{slack.url}/_fake/messages?channel={DEMO.channel_id}").json()
    assert each(seen, "messages", key="user") == ["U0EVE"]
