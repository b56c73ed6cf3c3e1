"""Plays Slack for one question: signs and posts it to the running stack, and shows the answer while it arrives.

`make ask TEXT="…" [AS=…] [THREAD=…]` calls it; everything it needs to know is in the stack file of `make run`.
"""

import argparse
import hashlib
import io
import json
import re
import sys
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from local.ask_view import LiveView, PlainView, View
from local.fake_slack.demo import DEMO, Demo
from local.fake_slack.payloads import body_of, escaped, mention, new_ts, sign
from local.fake_slack.state import SeenMessage, User

_LONGEST_TEXT = 39_000  # characters; Slack lets a person write 40,000, the mention included
_SETTLED_STREAM = 1.0  # seconds without a change after which a finished stream is the whole answer
_SETTLED_EDITS = 3.0  # the same for a message that is edited while it grows: it never says that it is done
_NO_STACK = "no stack is running here: start it with make run"
_TS = re.compile(r"\d{10}\.\d{6}")
_USER_ID = re.compile(r"[UW][A-Z0-9]{7,}")
_SEEN = TypeAdapter(SeenMessage)
_USERS = TypeAdapter(list[User])


class AskError(Exception):
    """Why there is no answer, in words for the person at the terminal."""


class _Demo(BaseModel):
    model_config = ConfigDict(frozen=True)

    team_id: str
    channel_id: str
    slack_user_id: str
    bot_user_id: str
    user_email: str


class Stack(BaseModel):
    """What `make run` wrote down about the stack it started."""

    model_config = ConfigDict(frozen=True)

    api_url: str
    slack_signing_secret: str
    fake_slack_url: str | None
    demo: _Demo


def read_stack(path: Path) -> Stack:
    """The running stack as its file describes it."""
    try:
        return Stack.model_validate_json(path.read_bytes())
    except FileNotFoundError as exc:
        raise AskError(_NO_STACK) from exc
    except (OSError, ValidationError) as exc:
        msg = f"{path} is not readable as a stack file: start the stack again with make run"
        raise AskError(msg) from exc


def clean_text(text: str) -> str:
    """The question as Slack would take it: valid Unicode, not empty, not too long."""
    # What the terminal sent may be no valid UTF-8; it arrives here as lone surrogates.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not text:
        raise AskError('there is nothing to ask: make ask TEXT="How do I book a day off?"')
    if len(text) > _LONGEST_TEXT:
        msg = f"TEXT has {len(text):,} characters: Slack takes {_LONGEST_TEXT:,} from a person"
        raise AskError(msg)
    return text


@dataclass(frozen=True, slots=True)
class Watched:
    """What changed in the thread, and where to go on from."""

    after: int
    status: str
    messages: list[SeenMessage]


class SlackWindow:
    """The control side of the fake Slack."""

    def __init__(self, url: str, http: urllib3.PoolManager) -> None:
        self._url = url.rstrip("/")
        self._http = http

    def check(self) -> None:
        """Fails where nothing listens."""
        self._call("GET", "health")

    def users(self) -> list[User]:
        """Everybody who has an account."""
        return _USERS.validate_python(self._call("GET", "users")["users"])

    def add_user(self, user: User) -> None:
        """Give somebody an account."""
        self._call("POST", "users", {"id": user.id, "team": user.team, "email": user.email, "name": user.name})

    def say(self, user_id: str, text: str, channel: str, thread_ts: str | None) -> SeenMessage:
        """Let a person say something in the channel."""
        said = {"user": user_id, "text": text, "channel": channel, "thread_ts": thread_ts}
        return _SEEN.validate_python(self._call("POST", "messages", said)["message"])

    def watch(self, channel: str, thread_ts: str, after: int, seconds: float) -> Watched:
        """Wait until something in the thread changes, or the seconds are over."""
        query = {"channel": channel, "thread_ts": thread_ts, "after": after, "timeout": round(seconds, 2)}
        answer = self._call("GET", f"watch?{urlencode(query)}", wait=seconds)
        messages = TypeAdapter(list[SeenMessage]).validate_python(answer["messages"])
        return Watched(TypeAdapter(int).validate_python(answer["after"]), str(answer["status"]), messages)

    def _call(
        self, verb: str, name: str, body: Mapping[str, object] | None = None, *, wait: float = 0
    ) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._http.request(verb, f"{self._url}/_fake/{name}", body=data, timeout=wait + 10)
        except urllib3.exceptions.HTTPError as exc:
            raise AskError(_NO_STACK) from exc
        answer = TypeAdapter(dict[str, object]).validate_json(response.data)
        if response.status != 200:
            msg = f"the fake Slack refused: {answer.get('error')}"
            raise AskError(msg)
        return answer


def generated_user(team: str, who: str) -> User:
    """The account of a name or an e-mail address nobody has yet; the same one whenever it is asked for."""
    folded = unicodedata.normalize("NFKD", who).encode("ascii", "ignore").decode().lower()
    digest = hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:8].upper()
    local_part, at, _ = folded.partition("@")
    name = re.sub(r"[^a-z0-9]+", ".", local_part).strip(".") or f"person-{digest.lower()}"
    return User(f"U0X{digest}", team, folded if at else f"{name}@demo.example", name)


def find_person(slack: SlackWindow, stack: Stack, who: str) -> str:
    """The Slack id of a name, an e-mail address or an id; an unknown name or address gets an account."""
    if not who:
        return stack.demo.slack_user_id
    users = slack.users()
    for user in users:
        if who == user.id or who.lower() in {user.name.lower(), (user.email or "").lower()}:
            return user.id
    if _USER_ID.fullmatch(who):
        known = ", ".join(f"{user.name} ({user.id})" for user in users if not user.is_bot)
        msg = f"nobody here has the Slack id {who}; there are {known}"
        raise AskError(msg)
    user = generated_user(stack.demo.team_id, who)
    slack.add_user(user)
    print(f"{user.name} <{user.email}> now has the Slack account {user.id}")
    return user.id


def post_event(stack: Stack, http: urllib3.PoolManager, body: bytes) -> None:
    """Deliver the event as Slack does: signed, and acknowledged by 2xx."""
    url = f"{stack.api_url.rstrip('/')}/slack/events"
    headers = sign(stack.slack_signing_secret, body, time.time())
    try:
        response = http.request("POST", url, body=body, headers=headers, timeout=30)
    except urllib3.exceptions.NewConnectionError as exc:
        raise AskError(_NO_STACK) from exc
    except urllib3.exceptions.HTTPError as exc:
        msg = f"the webhook did not answer: {type(exc).__name__}"
        raise AskError(msg) from exc
    if not 200 <= response.status < 300:
        msg = f"the webhook answered {response.status}: {response.data[:500].decode(errors='replace')}"
        raise AskError(msg)


def follow(slack: SlackWindow, question: SeenMessage, view: View, *, seconds: float) -> None:
    """Show the answer to `question` until it is complete."""
    thread_ts = question.thread_ts or question.ts
    answers: dict[str, SeenMessage] = {}
    after, status = question.change, ""
    started = changed_at = time.monotonic()
    while True:
        now = time.monotonic()
        left, settled = started + seconds - now, changed_at + _settled_after(answers, status) - now
        if settled <= 0:
            return
        if left <= 0:
            missing = "complete answer" if answers else "answer"
            msg = f"no {missing} within {seconds:g} s: the log of make run says why"
            raise AskError(msg)
        seen = slack.watch(question.channel, thread_ts, after, max(0.05, min(left, settled, 25)))
        if seen.messages or seen.status != status:
            changed_at = time.monotonic()
        after, status = seen.after, seen.status
        answers |= {each.ts: each for each in seen.messages if each.bot_id and each.ts > question.ts}
        answers = {ts: each for ts, each in sorted(answers.items()) if not each.is_deleted}
        view.show(list(answers.values()), status)


def _settled_after(answers: Mapping[str, SeenMessage], status: str) -> float:
    """Seconds of quiet that make what is there the whole answer; endless while more is sure to come."""
    if not answers or status or any(answer.is_streaming for answer in answers.values()):
        return float("inf")
    last = answers[max(answers)]
    if last.is_expired:
        return float("inf")
    return _SETTLED_STREAM if last.is_streamed else _SETTLED_EDITS


def ask(stack: Stack, http: urllib3.PoolManager, *, text: str, who: str, thread: str, seconds: float) -> None:
    """Put one question and show its answer."""
    demo: Demo = replace(
        DEMO,
        team_id=stack.demo.team_id,
        channel_id=stack.demo.channel_id,
        user_id=stack.demo.slack_user_id,
        bot_user_id=stack.demo.bot_user_id,
        user_email=stack.demo.user_email,
    )
    if stack.fake_slack_url is None:
        _ask_elsewhere(stack, http, demo, text=text, who=who, thread=thread)
        return
    slack = SlackWindow(stack.fake_slack_url, http)
    slack.check()
    user_id = find_person(slack, stack, who)
    said = escaped(text)
    question = slack.say(user_id, f"<@{demo.bot_user_id}> {said}", demo.channel_id, thread or None)
    event = mention(said, demo=demo, user=user_id, ts=question.ts, thread_ts=question.thread_ts)
    post_event(stack, http, body_of(event))
    view: View = LiveView() if sys.stdout.isatty() else PlainView()
    try:
        follow(slack, question, view, seconds=seconds)
    finally:
        view.close()
    _print_next(question.thread_ts or question.ts, who)


def _ask_elsewhere(stack: Stack, http: urllib3.PoolManager, demo: Demo, *, text: str, who: str, thread: str) -> None:
    if who and not _USER_ID.fullmatch(who):
        raise AskError("AS must be a Slack user id here: this stack is connected to a Slack outside")
    ts = new_ts()
    event = mention(escaped(text), demo=demo, user=who or None, ts=ts, thread_ts=thread or None)
    post_event(stack, http, body_of(event))
    print("the webhook took the question; the answer shows in the Slack this stack is connected to")
    _print_next(thread or ts, who)


def _print_next(thread_ts: str, who: str) -> None:
    as_who = f" AS={json.dumps(who, ensure_ascii=False)}" if who else ""
    print(f'\nthread {thread_ts}\n  go on:  make ask THREAD={thread_ts}{as_who} TEXT="…"')
    print(f'  stored: make ops ARGS="conversations show --thread {thread_ts}"')


def _read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.ask", description="Ask the running stack one question.")
    parser.add_argument("--text", default="", help="the question")
    parser.add_argument("--as", dest="who", default="", help="a name, an e-mail address or a Slack user id")
    parser.add_argument("--thread", default="", help="the thread to go on in, as an earlier answer printed it")
    parser.add_argument("--timeout", default="", help="seconds to wait for the answer (120)")
    parser.add_argument("--stack", type=Path, default=Path(".local/stack.json"), help="the file make run wrote")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """0 when the answer is complete, 1 when there is none; then standard error says why."""
    given = _read_arguments(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        text = clean_text(given.text)
        thread, who = _read_thread(given.thread.strip()), given.who.strip()
        seconds = _read_seconds(given.timeout)
        with urllib3.PoolManager(retries=False) as http:
            ask(read_stack(given.stack), http, text=text, who=who, thread=thread, seconds=seconds)
    except AskError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped watching; the answer goes on without you", file=sys.stderr)
        return 1
    return 0


def _read_thread(thread: str) -> str:
    if thread and not _TS.fullmatch(thread):
        msg = f"THREAD={thread} is no thread: it looks like 1767225600.000100"
        raise AskError(msg)
    return thread


def _read_seconds(timeout: str) -> float:
    try:
        seconds = float(timeout or 120)
    except ValueError as exc:
        msg = f"TIMEOUT={timeout} is no number of seconds"
        raise AskError(msg) from exc
    if not 0 < seconds <= 3600:
        msg = f"TIMEOUT={timeout} must be between 0 and 3600 seconds"
        raise AskError(msg)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
