"""Microsoft Teams, as the contract suite plays it."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from core.events import FileReference, MessageReceived
from local.fake_teams import DEMO, FakeTeams, SeenActivity, payloads, signing
from local.fake_teams.state import Member
from tests.contract.platform import Call, Place, Shown, What
from tests.unit.platforms.slack.stage import Clock

_PATH = "/teams/messages"
_CALLS = {What.SAY: "post", What.IDENTIFY: "member", What.FETCH: "file"}
_UNSEEN = "a bot cannot read a conversation in Teams: what a call without an answer posted cannot be looked for"


class Teams:
    """The demo tenant of the fake Teams."""

    cannot: Mapping[str, str] = {
        "the handshake is answered": "the Bot Framework does not check the address that it is given",
        "a message and its twin are one question": "Teams sends a mention once",
        "an answer that was posted and not recorded is found by the next delivery": _UNSEEN,
        "an answer whose posting had no answer is found by the next delivery": _UNSEEN,
        "a question that was asked and not recorded is found by the next delivery": _UNSEEN,
        "the stop button becomes a signal": "the button is Teams's own, and only the stream's next piece tells of it",
    }
    secrets: Mapping[str, str] = {}
    proof = "authorization"
    workspace_id = DEMO.tenant_id
    token = DEMO.app_secret
    person = (DEMO.user_object_id, DEMO.user_email)
    unknown_user = "00000000-0000-4000-8000-00000000dead"
    bot_user = "00000000-0000-4000-8000-00000000beef"
    broadcasts = ("<at>everyone</at>", "@everyone", "@channel", "@team")
    foreign_files = (
        "https://demo.sharepoint.com.evil.example/a.csv",
        "https://evilsharepoint.com/a.csv",
        "http://demo.sharepoint.com/a.csv",
        "https://demo.sharepoint.com:8443/a.csv",
        "https://demo.sharepoint.com@evil.example/a.csv",
        "https://me:token@demo.sharepoint.com/a.csv",
    )

    def __init__(self, clock: Clock) -> None:
        self._teams = FakeTeams(clock=clock.wall)

    def __enter__(self) -> Self:
        self._teams.__enter__()
        bot = Member("28:other", self.bot_user, DEMO.tenant_id, None, "Other", "bot")
        self._teams.state.members[bot.id] = bot
        return self

    def __exit__(self, *error: object) -> None:
        self._teams.close()

    def webhook_settings(self) -> Mapping[str, str]:
        return {
            "TEAMS_APP_ID": DEMO.app_id,
            "TEAMS_SERVICE_HOSTS": self._teams.host,
            "TEAMS_OPENID_URL": self._teams.openid_url,
            "TEAMS_TOKEN_ISSUER": signing.ISSUER,
        }

    def processor_settings(self) -> Mapping[str, str]:
        return {
            "TEAMS_APP_ID": DEMO.app_id,
            "TEAMS_SERVICE_HOSTS": self._teams.host,
            "TEAMS_LOGIN_URL": self._teams.url,
        }

    def signed(self, call: Call, *, at: float, is_forged: bool = False) -> Call:
        said = signing.claims(DEMO.app_id, self._teams.service_url, now=at)
        key = signing.make_key("forger") if is_forged else None
        # A forger knows the key's name and not the key.
        return call.with_headers(authorization=f"Bearer {signing.sign(said, key, kid=signing.make_key().kid)}")

    def sent_again(self, call: Call) -> Call:
        return call

    def handshake(self) -> tuple[Call, Mapping[str, object]]:
        raise NotImplementedError(self.cannot["the handshake is answered"])

    def question(self, text: str, place: Place, *, thread: MessageReceived | None = None) -> Call:
        activity_id = self._teams.state.new_id()
        if place == "direct":
            where, make = payloads.personal(), payloads.message
        else:
            root = thread.address.thread_id if thread else activity_id
            where, make = payloads.channel(root), payloads.mention
        self._teams.say(str(where["id"]), text, activity_id)
        return self._call(make(text, where, activity_id=activity_id))

    def twin(self, question: Call) -> Call:
        raise NotImplementedError(self.cannot["a message and its twin are one question"])

    def chatter(self) -> Call:
        root = self._teams.state.new_id()
        return self._call(payloads.message("Lunch?", payloads.channel(root), activity_id=root))

    def own_message(self) -> Call:
        return self._said_by(DEMO.bot_id)

    def other_bot(self) -> Call:
        return self._said_by("28:00000000-0000-4000-8000-00000000ffff")

    def edited(self, question: Call, text: str) -> Call:
        return self._changed(question, "messageUpdate", "editMessage", text=text, entities=[])

    def deleted(self, question: Call) -> Call:
        return self._changed(question, "messageDelete", "softDeleteMessage")

    def pressed(self, message: MessageReceived, shown: Shown, label: str) -> Call:
        assert isinstance(shown.raw, SeenActivity)
        (button,) = (each for each in _buttons(shown.raw) if each["title"] == label)
        return self._invoked(message, shown, "adaptiveCard/action", {"action": button, "trigger": "manual"})

    def judged(self, message: MessageReceived, shown: Shown, value: Literal["up", "down"]) -> Call:
        assert isinstance(shown.raw, SeenActivity)
        data = shown.raw.fields["channelData"]
        assert isinstance(data, dict)
        assert "feedbackLoop" in data
        said = {"reaction": {"up": "like", "down": "dislike"}[value], "feedback": '{"feedbackText": ""}'}
        value_of = {"actionName": "feedback", "actionValue": said}
        return self._invoked(message, shown, "message/submitAction", value_of)

    def installed(self) -> Call:
        return self._installation("add")

    def uninstalled(self) -> Call:
        return self._installation("remove")

    def shown(self, message: MessageReceived) -> list[Shown]:
        return [_shown(each) for each in self._teams.answers(_conversation(message))]

    def fail(
        self, what: What, status: int, *, retry_after: int | None = None, times: int = 1, is_done: bool = False
    ) -> None:
        self._teams.fail_next(_CALLS[what], status, retry_after=retry_after, times=times, effect_first=is_done)

    def calls(self) -> int:
        return len(self._teams.calls)

    def revoke(self) -> None:
        self._teams.secrets = {"another"}
        self._teams.revoke_tokens()

    def remove(self, message: MessageReceived, shown: Shown) -> None:
        self._teams.connector.delete(_conversation(message), shown.id)

    def stop(self, shown: Shown) -> None:
        self._teams.connector.cancelled.add(shown.id)

    def file(self, content: bytes) -> FileReference:
        self._teams.state.files["original"] = content
        url = f"{self._teams.service_url}v3/attachments/0-suite/views/original"
        return FileReference(id="attachment-0", name="table.csv", url=url)

    def trusting(self, url: str) -> Mapping[str, str]:
        host = url.partition("//")[2]
        return {
            "app_id": DEMO.app_id,
            "app_tenant_id": "botframework.com",
            "login_url": self._teams.url,
            "token_scope": "https://api.botframework.com/.default",
            "service_hosts": host,
            "file_hosts": host,
        }

    def _call(self, payload: payloads.Payload) -> Call:
        return Call(path=_PATH, body=payloads.body_of({**payload, "serviceUrl": self._teams.service_url}))

    def _said_by(self, sender: str) -> Call:
        root = self._teams.state.new_id()
        said = payloads.mention("hello", payloads.channel(root), activity_id=root)
        return self._call({**said, "from": {"id": sender, "name": "A bot"}})

    def _changed(self, question: Call, kind: str, event: str, **fields: object) -> Call:
        before: payloads.Payload = json.loads(question.body)
        where, activity_id = _object(before["conversation"]), str(before["id"])
        data = {"tenant": {"id": DEMO.tenant_id}, "eventType": event}
        return self._call({**payloads.activity(kind, where, activity_id=activity_id, channelData=data), **fields})

    def _invoked(self, message: MessageReceived, shown: Shown, name: str, value: Mapping[str, object]) -> Call:
        address = message.address
        where = payloads.personal() if address.is_direct else payloads.channel(address.thread_id)
        return self._call(
            payloads.activity(
                "invoke", where, activity_id=f"f:{shown.id}", name=name, replyToId=shown.id, value=dict(value)
            )
        )

    def _installation(self, action: str) -> Call:
        return self._call(
            payloads.activity("installationUpdate", payloads.personal(), activity_id=f"f:{action}", action=action)
        )


def _object(value: object) -> payloads.Payload:
    assert isinstance(value, dict)
    return value


def _conversation(message: MessageReceived) -> str:
    address = message.address
    return f"{address.channel_id};messageid={address.thread_id}" if address.thread_id else address.channel_id


def _buttons(seen: SeenActivity) -> list[dict[str, Any]]:  # a card's own JSON
    found = [_object(each["content"]).get("actions") for each in seen.attachments]
    return [button for buttons in found if isinstance(buttons, list) for button in buttons]


def _shown(seen: SeenActivity) -> Shown:
    labels = [str(button["title"]) for button in _buttons(seen)]
    return Shown(id=seen.id, text=seen.text, is_arriving=seen.is_streaming, buttons=labels, raw=seen)
