"""Tokens, people, threads and files: what an app may read."""

import pytest
import urllib3

from local.fake_slack import DEMO, FakeSlack
from local.fake_slack.state import App, Channel, File, User
from tests.unit.fake_slack.caller import TS, Caller, at, each


@pytest.mark.parametrize("refused", ["token_revoked", "account_inactive"])
def test_tokens_are_checked(
    api: Caller, slack: FakeSlack, http: urllib3.PoolManager, refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Caller(slack, http, None).error("auth.test") == "not_authed"
    assert Caller(slack, http, "xoxb-unknown").error("auth.test") == "invalid_auth"
    assert at(api("auth.test"), "user_id") == DEMO.bot_user_id
    slack.refuse_token(DEMO.bot_token, refused)
    assert api.error("auth.test") == refused
    assert capsys.readouterr() == ("", "")


def test_a_token_without_the_scope_is_told_which_one_it_needs(slack: FakeSlack, http: urllib3.PoolManager) -> None:
    slack.add_app(App("T2", "Two", "xoxb-two", "U2BOT", "B2", "A2", scopes=frozenset({"users:read"})))
    slack.add_user(User("U0TWO", "T2", "two@demo.example", "two"))
    two = Caller(slack, http, "xoxb-two")
    answer = two("chat.postMessage", channel=DEMO.channel_id, text="a")
    assert (at(answer, "error"), at(answer, "needed")) == ("missing_scope", "chat:write")
    assert "email" not in str(two.form("users.info", user="U0TWO"))


def test_people_are_found_by_id_and_by_email(api: Caller, slack: FakeSlack) -> None:
    slack.add_user(User("U0GONE", DEMO.team_id, "gone@demo.example", "gone", deleted=True))
    alice = at(api.form("users.info", user=DEMO.user_id, include_locale="true"), "user")
    assert at(alice, "profile", "email") == DEMO.user_email
    assert (at(alice, "locale"), at(alice, "is_bot")) == ("en-US", False)
    assert at(api.form("users.info", user="U0GONE"), "user", "deleted") is True
    assert at(api.form("users.info", user="U0NOBODY"), "error") == "user_not_found"
    assert at(api.form("users.lookupByEmail", email="Alice@demo.example"), "ok") is True
    assert at(api.form("users.lookupByEmail", email="gone@demo.example"), "error") == "users_not_found"


def test_a_method_that_reads_overlooks_a_json_body(api: Caller) -> None:
    assert api.error("users.info", user=DEMO.user_id) == "user_not_found"
    assert api.error("conversations.info", channel=DEMO.channel_id) == "invalid_arguments"


def test_a_stranger_is_seen_through_a_shared_channel_without_an_email(api: Caller, slack: FakeSlack) -> None:
    slack.add_user(User("U0FAR", "T0FAR", "far@demo.example", "far"))
    assert at(api.form("users.info", user="U0FAR"), "error") == "user_not_found"
    slack.add_channel(Channel("C0SHARED", frozenset({DEMO.team_id, "T0FAR"}), "shared"))
    stranger = api.form("users.info", user="U0FAR")
    assert at(stranger, "user", "team_id") == "T0FAR"
    assert "email" not in str(stranger)


def test_replies_come_in_pages_with_the_parent_on_each(api: Caller, slack: FakeSlack) -> None:
    root = slack.post_as(DEMO.user_id, "question", channel=DEMO.channel_id)
    spot = {"channel": DEMO.channel_id, "thread_ts": root.ts}
    metadata = {"event_type": "answer", "event_payload": {"part": 1}}
    own = [api.ts("chat.postMessage", **spot, text=str(n), metadata=metadata) for n in range(5)]
    wanted = {"channel": DEMO.channel_id, "ts": root.ts, "limit": "2", "include_all_metadata": "true"}
    texts: list[list[object]] = []
    cursor = ""
    for _ in range(3):
        page = api.form("conversations.replies", **wanted, cursor=cursor)
        texts.append(each(page, "messages", key="text"))
        cursor = str(at(page, "response_metadata", "next_cursor"))
    assert texts == [["question", "0", "1"], ["question", "2", "3"], ["question", "4"]]
    assert (cursor, at(page, "has_more")) == ("", False)
    assert at(page, "messages", 1, "metadata") == metadata
    assert at(page, "messages", 1, "bot_id") == DEMO.bot_id
    newer = {"channel": DEMO.channel_id, "ts": root.ts, "oldest": own[3]}
    after = api.form("conversations.replies", **newer)
    assert each(after, "messages", key="text") == ["question", "4"]
    assert "metadata" not in str(at(after, "messages", 1))
    with_edge = api.form("conversations.replies", **newer, inclusive="true")
    assert each(with_edge, "messages", key="text") == ["question", "3", "4"]


def test_a_thread_or_cursor_that_does_not_exist_is_an_error(api: Caller, slack: FakeSlack) -> None:
    assert at(api.form("conversations.replies", channel=DEMO.channel_id, ts=TS), "error") == "thread_not_found"
    root = slack.post_as(DEMO.user_id, "q", channel=DEMO.channel_id)
    bad = {"channel": DEMO.channel_id, "ts": root.ts, "cursor": "???"}
    assert at(api.form("conversations.replies", **bad), "error") == "invalid_cursor"


def test_a_file_is_given_to_its_workspaces_bot_alone(slack: FakeSlack, http: urllib3.PoolManager) -> None:
    shared = slack.add_file(File("F1", DEMO.team_id, "a b.csv", "text/csv", b"x;y\n"))
    url = str(shared["url_private"]).replace(" ", "%20")
    bot = http.request("GET", url, headers={"Authorization": f"Bearer {DEMO.bot_token}"})
    assert (bot.status, bot.data, bot.headers["Content-Type"]) == (200, b"x;y\n", "text/csv")
    assert http.request("GET", url, redirect=False).status == 302
    scopeless = App(DEMO.team_id, "Demo", "xoxb-less", "U0LESS", "B0LESS", "A0LESS", scopes=frozenset())
    slack.add_app(scopeless)
    page = http.request("GET", url, headers={"Authorization": "Bearer xoxb-less"})
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
