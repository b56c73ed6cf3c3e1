"""Calls the fake Slack the way an app does."""

import json
from urllib.parse import urlencode

import urllib3

from local.fake_slack import DEMO, FakeSlack

TS = "1767225600.000100"
IN_THREAD: dict[str, object] = {"channel": DEMO.channel_id, "thread_ts": TS}
STREAM = IN_THREAD | {"recipient_team_id": DEMO.team_id, "recipient_user_id": DEMO.user_id}


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now


def at(answer: object, *path: str | int) -> object:
    """What stands at a place of a JSON answer; a KeyError or IndexError where nothing does."""
    for step in path:
        match answer, step:
            case dict(), str():
                answer = answer[step]
            case list(), int():
                answer = answer[step]
            case _:
                raise KeyError(step)
    return answer


def each(answer: object, *path: str | int, key: str) -> list[object]:
    """The values under `key` of every object in a list of a JSON answer."""
    found = at(answer, *path)
    assert isinstance(found, list)
    return [item.get(key) for item in found]


class Caller:
    """Calls the Web API with a bot token."""

    def __init__(self, slack: FakeSlack, http: urllib3.PoolManager, token: str | None = DEMO.bot_token) -> None:
        self.slack, self.http, self.token = slack, http, token

    def raw(self, method: str, /, **arguments: object) -> urllib3.BaseHTTPResponse:
        """The HTTP answer to a call with a JSON body."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers["Content-Type"] = "application/json; charset=utf-8"
        body = json.dumps(arguments).encode()
        return self.http.request("POST", self.slack.base_url + method, body=body, headers=headers, timeout=5)

    def __call__(self, method: str, /, **arguments: object) -> object:
        return self.raw(method, **arguments).json()

    def form(self, method: str, /, **arguments: str) -> object:
        """The answer to a call with a form."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(arguments).encode()
        return self.http.request("POST", self.slack.base_url + method, body=body, headers=headers, timeout=5).json()

    def error(self, method: str, /, **arguments: object) -> object:
        """The error of a call that must not succeed."""
        answer = self(method, **arguments)
        assert at(answer, "ok") is False
        return at(answer, "error")

    def ts(self, method: str, /, **arguments: object) -> str:
        """The message's timestamp of a call that must succeed."""
        answer = self(method, **arguments)
        assert at(answer, "ok") is True, answer
        return str(at(answer, "ts"))
