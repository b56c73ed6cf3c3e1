"""`make ask`: a question goes out as Slack would send it, and the answer is shown as it arrives."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from local import ask
from local.fake_slack import DEMO, FakeSlack

SECRET = "demo-secret"
Event = dict[str, str]


class Webhook:
    """A stack of one function: it checks the signature, and `answer` plays the assistant."""

    def __init__(self, slack: FakeSlack) -> None:
        self.slack, self.status = slack, 200
        self.events: list[Event] = []
        self.answer: Callable[[Event], None] = self.stream
        self._http = urllib3.PoolManager()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.02))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._http.clear()

    def call(self, method: str, **arguments: object) -> str:
        headers = {"Authorization": f"Bearer {DEMO.bot_token}", "Content-Type": "application/json"}
        body = json.dumps({"channel": DEMO.channel_id} | arguments)
        return str(
            self._http.request("POST", self.slack.base_url + method, body=body, headers=headers).json().get("ts")
        )

    def stream(self, event: Event) -> None:
        to = {"recipient_team_id": DEMO.team_id, "recipient_user_id": event["user"]}
        thread_ts = event.get("thread_ts", event["ts"])
        self.call("assistant.threads.setStatus", channel_id=DEMO.channel_id, thread_ts=thread_ts, status="is thinking")
        ts = self.call("chat.startStream", thread_ts=thread_ts, markdown_text="Three ", **to)
        self.call("chat.appendStream", ts=ts, markdown_text="months\x1b[2J")
        self.call("chat.stopStream", ts=ts, markdown_text=".")

    def _handler(webhook) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                base = f"v0:{self.headers['X-Slack-Request-Timestamp']}:".encode() + body
                signed = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
                status = webhook.status if self.headers["X-Slack-Signature"] == signed else 401
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b'{"error":"refused"}' if status >= 300 else b"")
                if status < 300:
                    webhook.events.append(json.loads(body)["event"])
                    threading.Thread(target=webhook.answer, args=(webhook.events[-1],)).start()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        return Handler


@pytest.fixture(autouse=True)
def short_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_SETTLED_STREAM", 0.2)
    monkeypatch.setattr(ask, "_SETTLED_EDITS", 0.6)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with FakeSlack() as slack:
        webhook = Webhook(slack)
        yield webhook
        webhook.close()


@pytest.fixture
def stack(webhook: Webhook, tmp_path: Path) -> Path:
    return write_stack(tmp_path, webhook.url, webhook.slack.url)


def write_stack(folder: Path, api_url: str, fake_slack_url: str | None, secret: str = SECRET) -> Path:
    demo = {"team_id": DEMO.team_id, "channel_id": DEMO.channel_id, "slack_user_id": DEMO.user_id}
    demo |= {"bot_user_id": DEMO.bot_user_id, "user_email": DEMO.user_email}
    path = folder / "stack.json"
    found = {"api_url": api_url, "slack_signing_secret": secret, "fake_slack_url": fake_slack_url, "demo": demo}
    path.write_text(json.dumps(found | {"region": "eu-central-1"}))
    return path


def run(stack: Path, **given: str) -> int:
    return ask.main([f"--stack={stack}", *(f"--{name}={value}" for name, value in given.items())])


def test_an_answer_is_shown_as_it_streams_and_the_thread_can_be_gone_on_in(
    webhook: Webhook, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(stack, text="-1 < 2 & 3?") == 0
    [question, answer] = webhook.slack.messages(DEMO.channel_id)
    out = capsys.readouterr().out
    assert "parley: Three months[2J.\n" in out
    assert f'make ask THREAD={question.ts} TEXT="…"' in out
    assert webhook.events[0]["text"] == f"<@{DEMO.bot_user_id}> -1 &lt; 2 &amp; 3?"
    assert (webhook.events[0]["ts"], answer.thread_ts) == (question.ts, question.ts)
    assert run(stack, text="And in France?", thread=question.ts) == 0
    assert webhook.events[1]["thread_ts"] == question.ts
    assert len(webhook.slack.messages(DEMO.channel_id, question.ts)) == 4


def test_an_answer_that_is_posted_and_edited_is_shown_to_its_end(
    webhook: Webhook, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(event: Event) -> None:
        ts = webhook.call("chat.postMessage", thread_ts=event["ts"], text="Thr…")
        webhook.slack.wait_for(lambda: False, seconds=0.2)
        webhook.call("chat.update", ts=ts, text="Three months")

    webhook.answer = answer
    assert run(stack, text="hello") == 0
    assert "parley: Thr…\n[edited] Three months\n" in capsys.readouterr().out


def test_another_person_gets_an_account_of_their_own_and_keeps_it(webhook: Webhook, stack: Path) -> None:
    for who in ("Mallory", "Mallory", "bob@other.example", DEMO.user_email, "Zoë Ünal", "李"):
        assert run(stack, text="hello", **{"as": who}) == 0
    users = [event["user"] for event in webhook.events]
    emails = [webhook.slack.state.users[user].email for user in users]
    assert users[0] == users[1] != DEMO.user_id
    assert emails[:5] == ["mallory@demo.example"] * 2 + ["bob@other.example", DEMO.user_email, "zoe.unal@demo.example"]
    assert emails[5] is not None
    assert emails[5].endswith("@demo.example")


def test_an_answer_that_does_not_come_ends_in_a_clear_message(
    webhook: Webhook, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.answer = void
    assert run(stack, text="hello", timeout="0.3") == 1
    assert "no answer within 0.3 s" in capsys.readouterr().err


def test_an_answer_that_stops_in_the_middle_is_not_taken_for_complete(
    webhook: Webhook, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = {"recipient_team_id": DEMO.team_id, "recipient_user_id": DEMO.user_id}
    webhook.answer = lambda event: void(
        webhook.call("chat.startStream", thread_ts=event["ts"], markdown_text="a", **to)
    )
    assert run(stack, text="hello", timeout="1") == 1
    assert "no complete answer within 1 s" in capsys.readouterr().err


def void(_: object) -> None:
    return None


def test_a_webhook_that_refuses_is_reported(
    webhook: Webhook, stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.status = 503
    assert run(stack, text="hello") == 1
    assert 'the webhook answered 503: {"error":"refused"}' in capsys.readouterr().err
    assert run(write_stack(tmp_path, webhook.url, webhook.slack.url, "wrong"), text="hello") == 1
    assert "the webhook answered 401" in capsys.readouterr().err


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.json", text="hello") == 1
    assert capsys.readouterr().err == "no stack is running here: start it with make run\n"
    gone = write_stack(tmp_path, "http://127.0.0.1:9/", "http://127.0.0.1:9")
    assert run(gone, text="hello") == 1
    assert capsys.readouterr().err == "no stack is running here: start it with make run\n"
    gone.write_text("{}")
    assert run(gone, text="hello") == 1
    assert "not readable as a stack file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"text": "  "}, "there is nothing to ask"),
        ({"text": "x" * 39_001}, "TEXT has 39,001 characters"),
        ({"text": "a", "thread": "yesterday"}, "THREAD=yesterday is no thread"),
        ({"text": "a", "timeout": "soon"}, "TIMEOUT=soon is no number"),
        ({"text": "a", "as": "U0NOBODY99"}, "nobody here has the Slack id U0NOBODY99"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    stack: Path, webhook: Webhook, capsys: pytest.CaptureFixture[str], given: dict[str, str], complaint: str
) -> None:
    assert run(stack, **given) == 1
    assert complaint in capsys.readouterr().err
    assert webhook.events == []


def test_odd_unicode_arrives_as_it_was_typed(webhook: Webhook, stack: Path) -> None:
    assert run(stack, text="naïve 👩‍👩‍👧 \u202eabc") == 0
    assert webhook.events[0]["text"].endswith("naïve 👩‍👩‍👧 \u202eabc")
    assert run(stack, text="broken \udcff byte") == 0
    assert webhook.events[1]["text"].endswith("broken \ufffd byte")


def test_with_a_slack_outside_the_question_is_posted_and_the_answer_shows_there(
    webhook: Webhook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = write_stack(tmp_path, webhook.url, None)
    webhook.answer = void
    assert run(outside, text="hello") == 0
    assert "the answer shows in the Slack this stack is connected to" in capsys.readouterr().out
    assert run(outside, text="hello", **{"as": "mallory"}) == 1
    assert len(webhook.events) == 1
