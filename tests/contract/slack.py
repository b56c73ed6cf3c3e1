"""Slack, as the contract suite plays it."""

import json
from collections.abc import Mapping
from typing import Literal, Self

from core.events import FileReference, MessageReceived
from local.fake_slack import DEMO, FakeSlack, SeenMessage, happenings, payloads
from local.fake_slack.state import File, User
from tests.contract.platform import Call, Place, Shown, What
from tests.unit.platforms.slack.stage import Clock

_SECRET = "signing-secret-of-the-suite"
_EVENTS = "/slack/events"
_METHODS = {What.SAY: "chat.postMessage", What.IDENTIFY: "users.info", What.FETCH: "url_private"}


class Slack:
    """The demo workspace of the fake Slack."""

    cannot: Mapping[str, str] = {
        "the app's arrival becomes a signal": "Slack tells nobody: whoever installs comes back through /slack/oauth",
        "an answer that its reader stopped there ends and stays": "Slack's own button sends the webhook a signal",
    }
    secrets: Mapping[str, str] = {"parley/test/slack-signing-secret": _SECRET}
    proof = "x-slack-signature"
    workspace_id = DEMO.team_id
    token = DEMO.bot_token
    person = (DEMO.user_id, DEMO.user_email)
    unknown_user = "U0NOBODY01"
    bot_user = "U0OTHERBOT"
    broadcasts = ("<!channel>", "<!here>", "<!everyone>", "<!subteam^S0ALL>", "<@U0ALICE001>")
    foreign_files = (
        "https://files.slack.com.evil.example/files-pri/T1-F1/a.csv",
        "https://evilslack-files.com/a.csv",
        "http://files.slack.com/a.csv",
        "https://files.slack.com:8443/a.csv",
        "https://files.slack.com@evil.example/a.csv",
        "https://me:token@files.slack.com/a.csv",
    )

    def __init__(self, clock: Clock) -> None:
        self._slack = FakeSlack(clock=clock.wall)

    def __enter__(self) -> Self:
        self._slack.__enter__()
        self._slack.add_user(User(self.bot_user, DEMO.team_id, None, "other", is_bot=True))
        return self

    def __exit__(self, *error: object) -> None:
        self._slack.close()

    def webhook_settings(self) -> Mapping[str, str]:
        return {"SLACK_SIGNING_SECRET_NAME": "parley/test/slack-signing-secret"}

    def processor_settings(self) -> Mapping[str, str]:
        return {"SLACK_API_BASE_URL": self._slack.base_url}

    def signed(self, call: Call, *, at: float, is_forged: bool = False) -> Call:
        kind = call.headers.get("content-type", "application/json")
        proof = payloads.sign("guessed" if is_forged else _SECRET, call.body, at, content_type=kind)
        return call.with_headers(**{name.lower(): value for name, value in proof.items()})

    def sent_again(self, call: Call) -> Call:
        return call.with_headers(**{name.lower(): value for name, value in payloads.retry_headers(1).items()})

    def handshake(self) -> tuple[Call, Mapping[str, object]]:
        return _event(payloads.url_verification("a-challenge")), {"challenge": "a-challenge"}

    def question(self, text: str, place: Place, *, thread: MessageReceived | None = None) -> Call:
        is_direct = place == "direct"
        channel = DEMO.dm_channel_id if is_direct else DEMO.channel_id
        root = (thread.address.thread_id or None) if thread else None
        ts = self._slack.post_as(DEMO.user_id, text, channel=channel, thread_ts=root).ts
        make = payloads.direct_message if is_direct else payloads.mention
        return _event(make(text, ts=ts, thread_ts=root))

    def twin(self, question: Call) -> Call:
        return _event(payloads.twin(json.loads(question.body)))

    def chatter(self) -> Call:
        return _event(payloads.twin(payloads.mention("")) | {"event": self._said("Lunch?")})

    def own_message(self) -> Call:
        return _event(payloads.bot_message("Hello", bot_user=DEMO.bot_user_id))

    def other_bot(self) -> Call:
        named = f"<@{DEMO.bot_user_id}> hello"
        return _event(payloads.bot_message(named, bot_id="B0OTHER", bot_user=self.bot_user, app_id="A0OTHER"))

    def edited(self, question: Call, text: str) -> Call:
        envelope = json.loads(question.body)
        return _event(payloads.message_changed(envelope, text, channel_type=_kind_of(envelope)))

    def deleted(self, question: Call) -> Call:
        envelope = json.loads(question.body)
        return _event(payloads.message_deleted(envelope, channel_type=_kind_of(envelope)))

    def pressed(self, message: MessageReceived, shown: Shown, label: str) -> Call:  # noqa: ARG002 - a button says where it was
        assert isinstance(shown.raw, SeenMessage)
        (button,) = (each for each in shown.raw.buttons if each.text == label)
        return self._pressed(shown.raw, button.action_id, button.value)

    def judged(self, message: MessageReceived, shown: Shown, value: Literal["up", "down"]) -> Call:  # noqa: ARG002 - a button says where it was
        assert isinstance(shown.raw, SeenMessage)
        (button,) = (each for each in shown.raw.buttons if each.value.startswith(f"{value}:"))
        return self._pressed(shown.raw, button.action_id, button.value)

    def installed(self) -> Call:
        raise NotImplementedError(self.cannot["the app's arrival becomes a signal"])

    def uninstalled(self) -> Call:
        return _event(happenings.uninstalled())

    def shown(self, message: MessageReceived) -> list[Shown]:
        address = message.address
        found = self._slack.messages(address.channel_id, address.thread_id or None)
        return [_shown(each) for each in found if each.user == DEMO.bot_user_id]

    def fail(
        self, what: What, status: int, *, retry_after: int | None = None, times: int = 1, is_done: bool = False
    ) -> None:
        self._slack.fail_next(
            _METHODS[what], http_status=status, retry_after=retry_after, times=times, effect_first=is_done
        )

    def calls(self) -> int:
        return len(self._slack.calls)

    def revoke(self) -> None:
        self._slack.refuse_token(DEMO.bot_token)

    def remove(self, message: MessageReceived, shown: Shown) -> None:
        self._slack.state.message(message.address.channel_id, shown.id).is_deleted = True

    def stop(self, shown: Shown) -> None:
        raise NotImplementedError(self.cannot["an answer that its reader stopped there ends and stays"])

    def file(self, content: bytes) -> FileReference:
        made = self._slack.add_file(File("F0SUITE001", DEMO.team_id, "table.csv", "text/csv", content))
        return FileReference(id="F0SUITE001", name="table.csv", size=len(content), url=str(made["url_private"]))

    def trusting(self, url: str) -> Mapping[str, str]:
        return {"api_base_url": f"{url}/api/"}

    def _said(self, text: str) -> payloads.Event:
        event = payloads.direct_message(text, channel=DEMO.channel_id)["event"]
        event["channel_type"] = "channel"
        return event

    def _pressed(self, seen: SeenMessage, action_id: str, value: str) -> Call:
        done = happenings.pressed(action_id, value, message_ts=seen.ts, thread_ts=seen.thread_ts, channel=seen.channel)
        return Call(
            path="/slack/interactions", body=happenings.form_of(done), headers={"content-type": happenings.FORM}
        )


def _event(payload: Mapping[str, object] | payloads.Envelope) -> Call:
    return Call(path=_EVENTS, body=payloads.body_of(payload))


def _kind_of(envelope: payloads.Envelope) -> str:
    return envelope["event"].get("channel_type", "channel")  # a mention says none


def _shown(seen: SeenMessage) -> Shown:
    labels = [button.text for button in seen.buttons]
    return Shown(id=seen.ts, text=seen.text, is_arriving=seen.is_streaming, buttons=labels, raw=seen)
