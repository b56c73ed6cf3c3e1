"""The fake Slack itself: what tests and the local stack start, script and look at."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from local.fake_slack.arguments import Arguments, SlackError
from local.fake_slack.demo import DEMO, Demo
from local.fake_slack.faults import Failure, FailureMode, Faults, RateLimit
from local.fake_slack.methods import METHODS
from local.fake_slack.oauth import OAuth
from local.fake_slack.state import App, Channel, File, Message, SeenMessage, SlackState, User, seen
from local.fake_slack.wire import Answer, make_handler
from local.listening import Listener

_ERROR_PAGE = b"<!DOCTYPE html><html><head><title>Slack</title></head><body>Something went wrong.</body></html>"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a Web API method, as it came in and as it ended.

    `outcome` is "ok", the error of the answer, or the mode of a failure that gave none.
    """

    method: str
    arguments: Mapping[str, object]
    team_id: str | None
    outcome: str
    had_effect: bool


@dataclass(slots=True)
class _Done:
    """What a call came to before any failure spoils its answer."""

    answer: Mapping[str, object]
    outcome: str = "ok"
    team_id: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class FakeSlack:
    """A Slack on a loopback port, with one demo workspace in it.

    `stream_lifetime` is how long a text stream lives after it started, `stream_idle` how long it may be quiet.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        stream_lifetime: float = 300.0,
        stream_idle: float | None = None,
        demo: Demo = DEMO,
    ) -> None:
        self.demo = demo
        self.state = SlackState(clock=clock, stream_lifetime=stream_lifetime, stream_idle=stream_idle)
        self.calls: list[Call] = []
        self.oauth = OAuth()
        self._faults = Faults()
        self._closing = threading.Event()
        self._add_demo(demo)
        self._listener = Listener(make_handler(self), host, port)
        self.url = f"http://{host}:{self._listener.port}"
        self.base_url = f"{self.url}/api/"
        self.state.url = self.url

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def serve_forever(self) -> None:
        """Answer on this thread until `close` is called from another or the process is interrupted."""
        self._listener.serve()

    def close(self) -> None:
        """Stop answering and end every open connection."""
        self._closing.set()
        self._listener.close()

    # The world: who and what exists.

    def _add_demo(self, demo: Demo) -> None:
        self.add_app(
            App(demo.team_id, demo.team_name, demo.bot_token, demo.bot_user_id, demo.bot_id, demo.app_id),
        )
        self.add_user(User(demo.user_id, demo.team_id, demo.user_email, demo.user_name))
        self.add_channel(Channel(demo.channel_id, frozenset({demo.team_id}), demo.channel_name))
        self.add_channel(Channel(demo.dm_channel_id, frozenset({demo.team_id}), "", user=demo.user_id))

    def add_app(self, app: App) -> App:
        """Install an app in a workspace: its bot token works from now on, and its bot user exists."""
        with self.state.changed:
            self.state.apps[app.bot_token] = app
            self.add_user(User(app.bot_user_id, app.team_id, None, "parley", is_bot=True))
        return app

    def add_user(self, user: User) -> User:
        """Let a member exist, in the place of one with the same id."""
        with self.state.changed:
            self.state.users[user.id] = user
        return user

    def add_channel(self, channel: Channel) -> Channel:
        """Let a channel exist, in the place of one with the same id."""
        with self.state.changed:
            self.state.channels[channel.id] = channel
        return channel

    def add_file(self, file: File) -> dict[str, object]:
        """Upload a file; what comes back is its object as a message event carries it."""
        with self.state.changed:
            self.state.files[file.id] = file
        url = f"{self.url}/files-pri/{file.team}-{file.id}"
        return {
            "id": file.id,
            "name": file.name,
            "title": file.name,
            "mimetype": file.mimetype,
            "filetype": file.name.rpartition(".")[2],
            "user_team": file.team,
            "size": len(file.content),
            "mode": "hosted",
            "is_external": False,
            "url_private": f"{url}/{file.name}",
            "url_private_download": f"{url}/download/{file.name}",
            "file_access": "visible",
        }

    def refuse_token(self, token: str, error: str = "token_revoked") -> None:
        """Answer every later call with this token by `error`, such as `account_inactive`."""
        self.state.refuse_token(token, error)

    def post_as(
        self, user_id: str, text: str, *, channel: str, thread_ts: str | None = None, ts: str | None = None
    ) -> SeenMessage:
        """Let a person say something; `ts` is given where an event with that timestamp exists already."""
        user = self.state.users[user_id]
        ts = ts or self.state.ts_clock.next()
        message = Message(ts, channel, thread_ts, user.team, user_id, text, client_msg_id=f"cmid-{ts}")
        return seen(self.state.add_message(message))

    # Failures on purpose.

    def fail_next(
        self,
        method: str,
        *,
        error: str = "internal_error",
        mode: FailureMode = FailureMode.ANSWER,
        http_status: int | None = None,
        retry_after: int | None = None,
        times: int = 1,
        skip: int = 0,
        effect_first: bool = False,
    ) -> None:
        """Let the next `times` calls of a method fail, after `skip` calls that pass.

        With `effect_first` the call takes effect and its answer is lost: the unknown outcome.
        """
        self.fail(Failure(method, error, mode, http_status, retry_after, times, skip, effect_first))

    def fail(self, failure: Failure) -> None:
        """Script a failure."""
        with self.state.changed:
            self._faults.add(failure)

    def clear_failures(self) -> None:
        """Forget the failures still to come."""
        with self.state.changed:
            self._faults.clear()

    def disable(self, *methods: str) -> None:
        """Answer these methods by `unknown_method`, as a Slack that does not offer them."""
        with self.state.changed:
            self._faults.disabled.update(methods)

    def limit_rate(self, method: str, calls: int, *, per_seconds: float = 60.0, by_channel: bool = False) -> None:
        """Answer 429 with Retry-After to more than `calls` of a method in that time."""
        with self.state.changed:
            self._faults.limit(method, RateLimit(calls, per_seconds, by_channel))

    # What a person sees.

    def messages(self, channel: str, thread_ts: str | None = None) -> list[SeenMessage]:
        """The messages of a channel or of one thread as they stand now, without those deleted, oldest first."""
        return [seen(message) for message in self.state.messages(channel, thread_ts) if not message.is_deleted]

    def threads(self, channel: str) -> dict[str, list[SeenMessage]]:
        """Every thread of a channel, by the timestamp of its first message."""
        found: dict[str, list[SeenMessage]] = {}
        for message in self.messages(channel):
            found.setdefault(message.thread_ts or message.ts, []).append(message)
        return found

    def status(self, channel: str, thread_ts: str) -> str:
        """What the app says it is doing in this thread; empty where it says nothing."""
        return self.state.status(channel, thread_ts).text

    def session(self, channel: str, thread_ts: str) -> str:
        """The status of the agent session in this thread; empty where there is none."""
        return self.state.sessions.get((channel, thread_ts), "")

    def new_trigger(self) -> str:
        """The id of something that a person just did; a form can be opened with it, once and soon."""
        with self.state.changed:
            trigger = f"{len(self.state.triggers)}.1.trigger"
            self.state.triggers[trigger] = self.state.clock()
            return trigger

    def calls_to(self, method: str) -> list[Call]:
        """The calls of one method, in the order they came in."""
        with self.state.changed:
            return [call for call in self.calls if call.method == method]

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
        """Whether the condition came true in time; it is looked at again after every visible change."""
        deadline = time.monotonic() + seconds
        with self.state.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.is_set():
                    return condition()
                self.state.changed.wait(min(left, 0.2))
            return True

    def wait_for_change(
        self, channel: str, thread_ts: str, *, after: int, seconds: float
    ) -> tuple[int, list[SeenMessage]]:
        """The thread's messages that changed after that change, deleted ones too, and the number to go on from."""

        def changed() -> list[SeenMessage]:
            return [seen(each) for each in self.state.messages(channel, thread_ts) if each.change > after]

        self.wait_for(
            lambda: bool(changed()) or self.state.status(channel, thread_ts).change > after,
            seconds=seconds,
        )
        with self.state.changed:
            return self.state.change, changed()

    # The wire.

    def answer(self, method: str, token: str | None, values: Mapping[str, object], *, is_json: bool) -> Answer:
        """The HTTP answer to one call of the Web API."""
        with self.state.changed:
            failure = self._faults.next_failure(method)
            if failure is None or failure.effect_first:
                done = self._call(method, token, values, is_json=is_json)
            else:
                done = _Done({}, outcome="")
            outcome, had_effect = done.outcome, done.outcome == "ok"
            if failure is not None:
                outcome = failure.error if failure.mode is FailureMode.ANSWER else failure.mode.value
            self.calls.append(Call(method, values, done.team_id, outcome, had_effect))
        if failure is not None:
            return self._failed(failure)
        return Answer(done.status, json.dumps(done.answer).encode(), headers=done.headers)

    def download(self, file: File, team_id: str) -> Answer:
        """A file's bytes, or the failure that was scripted for `url_private`."""
        with self.state.changed:
            failure = self._faults.next_failure("url_private")
            outcome = failure.mode.value if failure else "ok"
            self.calls.append(Call("url_private", {"file": file.id}, team_id, outcome, had_effect=failure is None))
        return self._failed(failure) if failure else Answer(200, file.content, file.mimetype)

    def _call(self, method: str, token: str | None, values: Mapping[str, object], *, is_json: bool) -> _Done:
        caller = self.state.apps.get(token or "")
        team_id = caller.team_id if caller else None
        wait = self._faults.seconds_to_wait(method, str(values.get("channel", "")), self.state.clock())
        if wait is not None:
            refusal = {"ok": False, "error": "ratelimited"}
            return _Done(refusal, "ratelimited", team_id, 429, {"Retry-After": str(wait)})
        try:
            answer = self._perform(method, token, values, is_json=is_json)
        except SlackError as error:
            return _Done({"ok": False, "error": error.error, **error.extra}, error.error, team_id)
        return _Done({"ok": True, **answer}, team_id=team_id)

    def _perform(
        self, method: str, token: str | None, values: Mapping[str, object], *, is_json: bool
    ) -> dict[str, object]:
        if method == "oauth.v2.access":
            return self.oauth.access(self.state, token or "", values)
        known = METHODS.get(method)
        if known is None or method in self._faults.disabled:
            raise SlackError("unknown_method", req_method=method)
        if token is None:
            raise SlackError("not_authed")
        app = self.state.app_of(token)
        if known.scope and known.scope not in app.scopes:
            raise SlackError("missing_scope", needed=known.scope, provided=",".join(sorted(app.scopes)))
        return known.call(self.state, app, Arguments(values if known.reads_json or not is_json else {}))

    def _failed(self, failure: Failure) -> Answer:
        headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
        match failure.mode:
            case FailureMode.HTML:
                return Answer(failure.status, _ERROR_PAGE, "text/html; charset=utf-8", headers)
            case FailureMode.HANG:
                self._closing.wait(60)
                return Answer.dropped()
            case FailureMode.DROP:
                return Answer.dropped()
            case FailureMode.ANSWER:
                body = json.dumps({"ok": False, "error": failure.error}).encode()
                return Answer(failure.status, body, headers=headers)
