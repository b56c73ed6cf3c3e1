"""From installation to removal, on the deployed template: a workspace of Slack, a chat and a channel of Teams."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from core.store import Store
from local import fake_slack, fake_teams
from local.fake_slack import happenings
from local.fake_slack import payloads as slack_payloads
from local.fake_teams import payloads as teams_payloads
from tests.e2e.deployed import Deployed, wait_for

pytestmark = pytest.mark.timeout(600)
_HTTP = urllib3.PoolManager(retries=False)
_SECOND = fake_slack.Demo(
    team_id="T0SECOND01",
    team_name="Second Ltd",
    bot_token="xoxb-second",
    bot_user_id="U0PARLEY02",
    bot_id="B0PARLEY02",
    channel_id="C0SECOND01",
    user_id="U0ALICE002",
)
_CHAT = fake_teams.Demo(personal_id="a:1a-day-of-alice")


class _Workspace:
    """The second workspace of the fake Slack, as its admin and its person use it."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        demo = _SECOND
        names = ("team_id", "team_name", "bot_token", "bot_user_id", "bot_id", "app_id")
        deployed._fake("POST", "/_fake/oauth", {name: getattr(demo, name) for name in names})
        deployed.add_person({"id": demo.user_id, "team": demo.team_id, "email": demo.user_email, "name": "alice"})
        channel = {"id": demo.channel_id, "teams": [demo.team_id], "name": "general"}
        deployed._fake("POST", "/_fake/channels", channel)

    def install(self) -> str:
        """Open the link that ops print, allow, and come back with the browser's cookie; the page's words."""
        company_id = self._deployed.stack.demo.company_id
        link = self._deployed.run_ops("installations", "link", "--company", company_id).strip()
        begun = _HTTP.request("GET", link, redirect=False)
        assert begun.status == 302, begun.data
        cookie = begun.headers["set-cookie"].partition(";")[0]
        allowed = _HTTP.request("GET", begun.headers["location"], redirect=False)
        back = urlsplit(allowed.headers["location"])
        assert back.path == "/slack/oauth/callback"
        # The domain that the deployed API believes to have leads to the local cloud here.
        callback = f"{self._deployed.stack.api_url}{back.path}?{back.query}"
        assert _HTTP.request("GET", callback, redirect=False).status == 403, "another browser"
        page = _HTTP.request("GET", callback, headers={"cookie": cookie}, redirect=False)
        assert page.status == 200, page.data
        return page.data.decode()

    def installation(self) -> dict[str, Any]:
        """What ops see of it."""
        listed = self._deployed.ops("installations", "list", "--json")
        (found,) = (each for each in listed if each["workspaceId"] == _SECOND.team_id)
        return dict(found)

    def ask(self, text: str, *, thread_ts: str | None = None) -> str:
        """The person mentions the assistant; the message's ts."""
        envelope = slack_payloads.mention(text, demo=_SECOND, thread_ts=thread_ts)
        said = {"user": _SECOND.user_id, "text": text, "channel": _SECOND.channel_id, "ts": envelope["event"]["ts"]}
        self._deployed._fake("POST", "/_fake/messages", said | ({"thread_ts": thread_ts} if thread_ts else {}))
        assert self._deployed.post(envelope) == 200
        return envelope["event"]["ts"]

    def answers(self, ts: str) -> list[dict[str, Any]]:
        """What the assistant says in a thread."""
        shown = self._deployed._fake("GET", f"/_fake/messages?channel={_SECOND.channel_id}&thread_ts={ts}")
        return [message for message in shown["messages"] if message["user"] == _SECOND.bot_user_id]

    def wait_for_answer(self, ts: str) -> dict[str, Any]:
        """The finished answer."""
        wait_for(lambda: any(not each["is_streaming"] for each in self.answers(ts)), what=f"an answer in {ts}")
        (answer,) = self.answers(ts)
        return answer

    def press(self, answer: Mapping[str, Any], ts: str, label: str) -> None:
        """The person presses a button that stands below an answer."""
        (button,) = (each for each in answer["buttons"] if each["text"] == label)
        done = happenings.pressed(
            button["action_id"],
            button["value"],
            message_ts=answer["ts"],
            thread_ts=ts,
            demo=_SECOND,
            channel=_SECOND.channel_id,
            user=_SECOND.user_id,
        )
        body, secret = happenings.form_of(done), self._deployed.stack.slack_signing_secret
        headers = slack_payloads.sign(secret, body, time.time(), content_type=happenings.FORM)
        assert self._deployed.send(body, headers, path="/slack/interactions")[0] == 200

    def conversation(self, ts: str) -> dict[str, Any]:
        """What ops see of a thread."""
        place = ("--workspace", _SECOND.team_id, "--channel", _SECOND.channel_id)
        return dict(self._deployed.ops("conversations", "show", "--thread", ts, *place, "--json"))


def test_a_day_in_slack(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = _Workspace(deployed)
    assert "Acme" in workspace.install()
    assert (workspace.installation()["enabled"], workspace.installation()["status"]) == (True, "ACTIVE")

    ts = workspace.ask("What is the plan for today?")
    answer = workspace.wait_for_answer(ts)
    assert answer["is_streamed"]
    assert "What is the plan for today?" in answer["text"]

    workspace.press(answer, ts, "👎")
    wait_for(lambda: bool(workspace.conversation(ts)["feedback"]), what="the feedback")
    assert [each["value"] for each in workspace.conversation(ts)["feedback"]] == ["down"]

    long = workspace.ask("a stopped answer [[delay 400 x1]] write 120 words")
    wait_for(lambda: any(each["is_streaming"] for each in workspace.answers(long)), what="the answer to begin")
    workspace.ask("stop", thread_ts=long)
    assert "Stopped" in workspace.wait_for_answer(long)["text"]
    wait_for(lambda: workspace.conversation(long)["conversation"]["status"] == "CANCELED", what="the stop")

    _let_an_hour_pass(deployed, monkeypatch)
    assert deployed.post(happenings.uninstalled(demo=_SECOND)) == 200
    wait_for(lambda: workspace.installation()["status"] == "UNINSTALLED", what="the removal")
    assert workspace.installation()["enabled"] is False
    assert _is_forgotten(deployed, f"parley/{deployed.stack.stage}/slack/{_SECOND.team_id}")


def _let_an_hour_pass(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of an installation of the last minutes is about the one before."""
    stack = deployed.stack
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack.aws_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key)
    store = Store(stack.table_name, bucket_name=stack.bucket_name, region=stack.region, endpoint_url=stack.endpoint_url)
    made = store.directory.find_installation("slack", _SECOND.team_id)
    assert made is not None
    earlier = datetime.now(UTC) - timedelta(hours=1)
    store.directory.put_installation(made.model_copy(update={"updated_at": earlier}))


def _is_forgotten(deployed: Deployed, secret: str) -> bool:
    client = boto3.client(
        "secretsmanager",
        endpoint_url=deployed.stack.endpoint_url,
        region_name=deployed.stack.region,
        aws_access_key_id=deployed.stack.aws_access_key_id,
        aws_secret_access_key=deployed.stack.aws_secret_access_key,
    )
    try:
        client.get_secret_value(SecretId=secret)
    except ClientError as refused:
        return refused.response["Error"]["Code"] in ("ResourceNotFoundException", "InvalidRequestException")
    return False


class _Tenant:
    """The demo tenant of the fake Teams."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._url = deployed.stack.fake_teams_url

    def post(self, payload: dict[str, object]) -> None:
        """Post an activity as the Bot Framework does."""
        token = _HTTP.request("POST", f"{self._url}/_fake/sign", json={}).json()["token"]
        body = teams_payloads.body_of({**payload, "serviceUrl": f"{self._url}/emea/"})
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        sent = _HTTP.request("POST", f"{self._deployed.stack.api_url}/teams/messages", body=body, headers=headers)
        assert sent.status == 200, sent.data

    def say(self, kind: str, **fields: object) -> None:
        """Something that happened in the person's chat."""
        where, activity_id = teams_payloads.personal(_CHAT), teams_payloads.new_id()
        self.post({**teams_payloads.activity(kind, where, activity_id=activity_id), **fields})

    def ask(self, text: str, root: str = "") -> None:
        """The person asks, in the chat or in the channel's thread."""
        activity_id = root or teams_payloads.new_id()
        if root:
            self.post(teams_payloads.mention(text, teams_payloads.channel(root), activity_id=activity_id))
        else:
            self.post(teams_payloads.message(text, teams_payloads.personal(_CHAT), activity_id=activity_id))

    def wait_for(self, conversation: str, words: str) -> dict[str, Any]:
        """The assistant's finished message that holds these words."""

        def found() -> list[dict[str, Any]]:
            query = urlencode({"conversation": conversation, "timeout": "0.1"})
            shown = _HTTP.request("GET", f"{self._url}/_fake/watch?{query}").json()["messages"]
            return [each for each in shown if words in each["text"] and not each["is_streaming"]]

        wait_for(lambda: bool(found()), what=f"{words!r} in {conversation}")
        return found()[0]


def test_a_day_in_teams(deployed: Deployed) -> None:
    tenant = _Tenant(deployed)
    tenant.say("installationUpdate", action="add")
    tenant.say("conversationUpdate", membersAdded=[{"id": _CHAT.bot_id}])
    assert "imBack" in str(tenant.wait_for(_CHAT.personal_id, "")["attachments"]), "a greeting with something to ask"

    tenant.ask("What is the plan for today?")
    answer = tenant.wait_for(_CHAT.personal_id, "What is the plan for today?")
    assert answer["is_streamed"]
    root = teams_payloads.new_id()
    tenant.ask("And in the channel?", root)
    tenant.wait_for(f"{_CHAT.channel_id};messageid={root}", "And in the channel?")

    said = {"reaction": "dislike", "feedback": '{"feedbackText": "Too long"}'}
    value = {"actionName": "feedback", "actionValue": said}
    tenant.say("invoke", name="message/submitAction", replyToId=answer["id"], value=value)
    place = ("--platform", "teams", "--workspace", _CHAT.tenant_id, "--channel", _CHAT.personal_id, "--thread", "")

    def feedback() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = deployed.ops("conversations", "show", *place, "--json")["feedback"]
        return found

    wait_for(lambda: bool(feedback()), what="the feedback")
    assert [(each["value"], each["comment"]) for each in feedback()] == [("down", "Too long")]

    tenant.say("conversationUpdate", membersRemoved=[{"id": _CHAT.bot_id}])
    tenant.say("installationUpdate", action="remove")
    wait_for(lambda: deployed.queue_length(deployed.stack.queue_urls.signals) == 0, what="the removal to be taken")
    tenant.ask("Still there for the others?", teams_payloads.new_id())
    listed = deployed.ops("installations", "list", "--json")
    assert [each["enabled"] for each in listed if each["workspaceId"] == _CHAT.tenant_id] == [True]
